//! Values that hurt.

/// Texts that break naive keys and encodings.
pub fn texts() -> Vec<String> {
    let mut texts = vec![
        String::new(),
        "\0".into(),
        "a\0b".into(),
        "a".into(),
        "a\0".into(),
        "\u{10FFFF}".into(),
        "\u{FEFF}bom".into(),
        "e\u{301}".into(),
        "\u{E9}".into(),
        "\u{202E}rtl".into(),
        "'\"\\/%_*".into(),
        "\u{7F}\u{1}\n\r\t".into(),
        "x".repeat(254),
        "x".repeat(255),
        "x".repeat(256),
        "x".repeat(64 << 10),
    ];
    // Every character there is, in texts of bounded size.
    let all: Vec<char> = (0..=0x10_FFFF).filter_map(char::from_u32).collect();
    texts.extend(all.chunks(16_000).map(|chunk| chunk.iter().collect::<String>()));
    texts
}

/// Milliseconds around which encodings of time break.
pub const TIMES: [i64; 11] = [
    -62_135_596_800_000,
    -2_208_988_800_000,
    -86_400_001,
    -1000,
    -1,
    0,
    1,
    999,
    1_795_000_000_000,
    4_294_967_296_000,
    253_402_207_200_000,
];
