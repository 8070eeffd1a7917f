# Shared by the scripts: where things outside the checkout live, and how progress is told. Sourced, never run.

AIMG_CACHE=${AIMG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/aimg}

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# take LOCK: waits for it and holds it until the process ends or `release`.
take() { mkdir -p "$AIMG_CACHE/locks"; exec 9>"$AIMG_CACHE/locks/$1"; flock 9; }
release() { exec 9>&-; }

# need COMMAND PACKAGE…: installs the packages with the machine's own apt when the command is not there.
need() {
  local command=$1; shift
  command -v "$command" >/dev/null && return
  [ "$(id -u)" = 0 ] || die "$command is missing; as root: apt-get install $*"
  say "installing $* (for $command)"
  take apt
  if ! command -v "$command" >/dev/null; then
    local log=$AIMG_CACHE/locks/apt.log
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"; } >"$log" 2>&1 </dev/null \
      || { tail -20 "$log" >&2; die "apt-get install $* failed"; }
  fi
  release
}

# udp_taken PORT / tcp_taken PORT: somebody on this machine has it.
udp_taken() { grep -qiE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") " /proc/net/udp /proc/net/udp6 2>/dev/null; }
tcp_taken() { grep -qiE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") [0-9A-F:]+ 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null; }

# voice_file SEED: the path of 8 s of that voice, made when first asked for.
voice_file() {
  local file=$AIMG_CACHE/voices/$1.ulaw
  if [ ! -s "$file" ]; then
    mkdir -p "$AIMG_CACHE/voices"
    "$here/voice" "$1" 8 > "$file.$$"
    mv "$file.$$" "$file"
  fi
  echo "$file"
}
