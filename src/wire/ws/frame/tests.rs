#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;

fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = begin(0, payload.len());
    frame[0] = first;
    frame[1] |= 0x80;
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    masked(FIN | opcode, payload, [1, 2, 3, 4])
}

fn decode(bytes: &[u8]) -> Result<Vec<Received>, Violation> {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    let mut all = Vec::new();
    while let Some(received) = decoder.next()? {
        all.push(received);
    }
    Ok(all)
}

#[test]
fn the_masked_hello_of_the_rfc_is_read() {
    let frame = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(&frame), Ok(vec![Received::Text("Hello".into())]));
}

#[test]
fn server_frames_are_as_in_the_rfc() {
    assert_eq!(&text("Hello")[..], b"\x81\x05Hello");
    assert_eq!(&pong(b"Hello")[..], b"\x8a\x05Hello");
    assert_eq!(&binary(&[7; 256])[..5], b"\x82\x7e\x01\x00\x07");
    assert_eq!(&binary(&vec![7; 65536])[..11], b"\x82\x7f\0\0\0\0\0\x01\0\0\x07");
    assert_eq!(&close(1000, "done")[..], b"\x88\x06\x03\xe8done");
    assert_eq!(close(4001, &"ä".repeat(200)).len(), 2 + 2 + 122);
}

#[test]
fn a_ping_between_fragments_comes_first() {
    let mut bytes = masked(TEXT, b"He", [9; 4]);
    bytes.extend(client(PING, b"?"));
    bytes.extend(masked(FIN | CONTINUATION, b"llo", [0; 4]));
    assert_eq!(decode(&bytes), Ok(vec![Received::Ping(b"?".to_vec()), Received::Text("Hello".into())]));
}

#[test]
fn each_violation_is_named_and_gives_its_close_code() {
    let long = |opcode: u8, length: u64| {
        let mut frame = vec![FIN | opcode, 0x80 | 127];
        frame.extend_from_slice(&length.to_be_bytes());
        frame
    };
    let cases: Vec<(Vec<u8>, Violation, u16)> = vec![
        (text("Hello").to_vec(), Violation::Unmasked, 1002),
        (masked(FIN | 0x40 | TEXT, b"", [0; 4]), Violation::ReservedBits, 1002),
        (client(0x3, b""), Violation::Opcode, 1002),
        (client(0xb, b""), Violation::Opcode, 1002),
        (client(CONTINUATION, b"x"), Violation::Sequence, 1002),
        ([masked(TEXT, b"a", [0; 4]), client(TEXT, b"b")].concat(), Violation::Sequence, 1002),
        (masked(PING, b"", [0; 4]), Violation::Control, 1002),
        (client(PING, &[0; 126]), Violation::Control, 1002),
        (vec![FIN | TEXT, 0x80 | 126, 0, 5], Violation::Length, 1002),
        (long(TEXT, 5), Violation::Length, 1002),
        (long(TEXT, u64::MAX), Violation::Length, 1002),
        (long(TEXT, 65537), Violation::TooLarge, 1009),
        (long(BINARY, 1 << 62), Violation::TooLarge, 1009),
        (
            [masked(TEXT, &[b'a'; 60_000], [0; 4]), client(CONTINUATION, &[b'a'; 6_000])].concat(),
            Violation::TooLarge,
            1009,
        ),
        (client(TEXT, &[0xc3, 0x28]), Violation::NotUtf8, 1007),
        (client(CLOSE, &[3]), Violation::CloseFrame, 1002),
        (client(CLOSE, &1005u16.to_be_bytes()), Violation::CloseFrame, 1002),
        (client(CLOSE, &[3, 0xe8, 0xff]), Violation::NotUtf8, 1007),
    ];
    for (bytes, violation, code) in cases {
        assert_eq!(decode(&bytes), Err(violation));
        assert_eq!(violation.close().code(), code);
    }
}

#[test]
fn after_a_violation_nothing_more_is_taken() {
    let mut decoder = Decoder::default();
    decoder.feed(&client(0x3, b""));
    assert_eq!(decoder.next(), Err(Violation::Opcode));
    decoder.feed(&client(TEXT, b"late"));
    assert_eq!(decoder.next(), Err(Violation::Opcode));
}

#[test]
fn a_close_may_have_no_code() {
    assert_eq!(
        decode(&client(CLOSE, b"")),
        Ok(vec![Received::Close {
            code: None,
            reason: String::new()
        }])
    );
    let bye = [&4001u16.to_be_bytes()[..], b"bye"].concat();
    assert_eq!(
        decode(&client(CLOSE, &bye)),
        Ok(vec![Received::Close {
            code: Some(4001),
            reason: "bye".into()
        }])
    );
}

fn message() -> impl Strategy<Value = (Received, Vec<u8>)> {
    let parts = (proptest::collection::vec(any::<u8>(), 0..700), 1usize..5, any::<[u8; 4]>());
    let data = (parts, any::<bool>()).prop_map(|((payload, pieces, mask), is_text)| {
        let payload = if is_text {
            String::from_utf8_lossy(&payload).into_owned().into_bytes()
        } else {
            payload
        };
        let size = payload.len().div_ceil(pieces).max(1);
        let chunks: Vec<&[u8]> = if payload.is_empty() { vec![&[]] } else { payload.chunks(size).collect() };
        let mut bytes = Vec::new();
        for (n, chunk) in chunks.iter().enumerate() {
            let opcode = if n > 0 {
                CONTINUATION
            } else if is_text {
                TEXT
            } else {
                BINARY
            };
            let fin = if n + 1 == chunks.len() { FIN } else { 0 };
            bytes.extend(masked(fin | opcode, chunk, mask));
        }
        let received = if is_text {
            Received::Text(String::from_utf8(payload).unwrap())
        } else {
            Received::Binary(payload)
        };
        (received, bytes)
    });
    let control = proptest::collection::vec(any::<u8>(), 0..126).prop_map(|payload| (Received::Ping(payload.clone()), client(PING, &payload)));
    prop_oneof![3 => data, 1 => control]
}

proptest! {
    #[test]
    fn messages_are_the_same_wherever_the_bytes_are_split(messages in proptest::collection::vec(message(), 1..6), sizes in proptest::collection::vec(1usize..40, 1..20)) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let mut decoder = Decoder::default();
        let mut got = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*size).min(rest.len()));
            decoder.feed(now);
            while let Some(received) = decoder.next().unwrap() {
                got.push(received);
            }
            rest = later;
        }
        prop_assert_eq!(got, messages.into_iter().map(|(received, _)| received).collect::<Vec<_>>());
    }

    #[test]
    fn random_bytes_never_panic_and_hold_no_more_than_was_given(bytes in proptest::collection::vec(any::<u8>(), 0..2000), size in 1usize..100) {
        let mut decoder = Decoder::new(300);
        for chunk in bytes.chunks(size) {
            decoder.feed(chunk);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }
}
