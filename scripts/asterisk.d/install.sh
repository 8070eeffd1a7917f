# Installs an Asterisk of a Debian suite into a folder of its own, beside the machine's system and not in it: a private apt
# state with an empty list of installed packages resolves everything down to libc, the packages are only unpacked, and no
# maintainer script runs. Sourced by scripts/asterisk, after scripts/lib.sh.

packages="asterisk asterisk-core-sounds-en-gsm"

suite_of() {
  case $1 in
    16) echo bullseye ;;
    22) echo sid ;;
    *) die "version $1 is not known here; known are 16 and 22" ;;
  esac
}

# The archive this machine itself installs from, in the two formats that apt reads.
own_mirror() {
  if [ -n "${AIMG_DEBIAN_MIRROR:-}" ]; then echo "$AIMG_DEBIAN_MIRROR"; return; fi
  local found
  found=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '
    function emit() { if (uri != "" && main && !security) print uri; uri = ""; main = 0; security = 0 }
    /^[[:space:]]*$/ { emit(); next }
    /^Types:/ { if ($0 !~ /(^| )deb( |$)/) security = 1 }
    /^Enabled:[[:space:]]*no/ { security = 1 }
    /^URIs:/ { uri = $2; if (uri ~ /security/) security = 1 }
    /^Suites:/ { if ($0 ~ /security/) security = 1 }
    /^Components:/ { if ($0 ~ /(^| )main( |$)/) main = 1 }
    END { emit() }')
  [ -n "$found" ] || found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null \
    | sed -E 's/\[[^]]*\]//' | awk '$1 == "deb" && $2 !~ /security/ && $3 !~ /security/ { for (i = 4; i <= NF; i++) if ($i == "main") print $2 }')
  # Other vendors' repositories have a main too: one of Debian's own has "debian" last.
  printf '%s\n' "$found" | grep -m1 -E '/debian/?$' || printf '%s\n' "$found" | grep -m1 . \
    || die "no Debian archive in the machine's apt sources; name one in AIMG_DEBIAN_MIRROR"
}

private_apt() {
  local apt=$1 suite=$2 arch=$3 signed=""
  mkdir -p "$apt"/state/lists/partial "$apt"/etc "$apt"/log "$apt"/debs/partial "$apt"/none/partial
  : > "$apt/status"
  [ ! -f /usr/share/keyrings/debian-archive-keyring.gpg ] || signed=" signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
  echo "deb [arch=$arch$signed] $(own_mirror) $suite main" > "$apt/etc/sources.list"
  cat > "$apt/apt.conf" <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "$(id -un)";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/debs";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "$apt/log";
CONF
}

# Downloads the packages and leaves their file names in $apt/list.
download() {
  local apt=$1
  export APT_CONFIG=$apt/apt.conf
  apt-get -qq update
  # Asked with an empty archive: what is downloaded already is left out of the answer otherwise.
  # shellcheck disable=SC2086
  apt-get -qq -y -o Dir::Cache::archives="$apt/none" --print-uris install $packages | awk '{ print $2 }' > "$apt/list"
  # shellcheck disable=SC2086
  apt-get -qq -y --download-only install $packages
  unset APT_CONFIG
  [ -s "$apt/list" ] || die "apt resolved no packages for $packages"
}

unpack() {
  local apt=$1 root=$2 dir deb
  rm -rf "$root.new"
  for dir in bin sbin lib lib64; do
    mkdir -p "$root.new/usr/$dir"
    ln -s "usr/$dir" "$root.new/$dir"
  done
  while read -r deb; do
    dpkg-deb --fsys-tarfile "$apt/debs/$deb" | tar -x -C "$root.new" --keep-directory-symlink --no-same-owner \
      --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' -f -
  done < "$apt/list"
  rm -rf "$root"
  mv "$root.new" "$root"
}

# install VERSION: leaves the tree at root_of VERSION; does nothing when it is there.
root_of() { echo "$AIMG_CACHE/asterisk/root-$1"; }

install() {
  local version=$1 suite root apt started
  suite=$(suite_of "$version"); root=$(root_of "$version"); apt=$AIMG_CACHE/asterisk/apt-$version
  [ ! -f "$root/.complete" ] || return 0
  command -v dpkg-deb >/dev/null && command -v apt-get >/dev/null || die "needs dpkg-deb and apt-get: a Debian system"
  take "asterisk-$version"
  if [ ! -f "$root/.complete" ]; then
    started=$SECONDS
    say "asterisk $version: resolving and downloading from suite $suite"
    private_apt "$apt" "$suite" "$(dpkg --print-architecture)"
    download "$apt" || die "download failed; the private apt state is $apt"
    say "asterisk $version: unpacking $(wc -l < "$apt/list") packages"
    unpack "$apt" "$root"
    touch "$root/.complete"
    say "asterisk $version: installed, $(du -sm "$root" | cut -f1) MB, $((SECONDS - started)) s"
  fi
  release
}
