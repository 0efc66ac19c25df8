//! The fuzz target of a message bus: whatever it sends, what is asserted here holds.

use super::message::{self, HEAD, Method};
use super::wire::Reader;

/// The input is a message, as it comes from the bus; and a text that is put into one.
pub fn bus(input: &[u8]) {
    if let Some(head) = input.first_chunk::<HEAD>() {
        if let Ok(rest) = message::rest(head) {
            assert!(rest < 3 << 20, "a message is bounded");
        }
        read(input);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        write(text);
    }
}

/// A whole message, and its body as everything that is asked for here.
fn read(bytes: &[u8]) {
    let Ok((header, begin)) = message::parse(bytes) else {
        return;
    };
    let told = header.path.len() + header.interface.len() + header.member.len();
    assert!(told + header.error.len() <= bytes.len());
    let body = Reader::new(bytes.get(begin..).unwrap_or_default());
    let (mut paths, mut secret, mut value) = (body.clone(), body.clone(), body);
    if let Ok(paths) = paths.texts() {
        assert!(
            paths.len() * 4 <= bytes.len(),
            "each has a length of its own"
        );
    }
    let _ = secret.structure().and_then(|()| secret.text());
    let _ = secret.bytes();
    let _ = value.signature().map(|_| value.truth());
}

/// What is written is read.
fn write(text: &str) {
    let method = Method {
        destination: "org.example",
        path: text,
        interface: "org.example.Interface",
        member: text,
    };
    let bytes = message::call(7, method, "sayas", |arguments| {
        arguments.text(text).bytes(text.as_bytes());
        arguments.array(4, |array| {
            array.text(text).text(text);
        });
    });
    let head = bytes.first_chunk::<HEAD>();
    let rest = head.and_then(|head| message::rest(head).ok());
    assert_eq!(rest, bytes.len().checked_sub(HEAD));
    let parsed = message::parse(&bytes);
    let Ok((header, begin)) = parsed else {
        unreachable!("{parsed:?}");
    };
    assert_eq!((&*header.path, &*header.member), (text, text));
    assert_eq!(header.signature, "sayas");
    let mut body = Reader::new(bytes.get(begin..).unwrap_or_default());
    assert_eq!(body.text(), Ok(text));
    assert_eq!(body.bytes(), Ok(text.as_bytes()));
    let texts = body.texts();
    assert_eq!(
        texts.as_deref(),
        Ok(&[text.to_owned(), text.to_owned()][..])
    );
}
