//! One message of D-Bus: a call that is sent, or whatever comes.

use secrecy::zeroize::Zeroizing;

use super::wire::{Malformed, Reader, Writer};

/// What tells how long a message is.
pub(super) const HEAD: usize = 16;

/// The longest message that is read. The bus allows 128 MiB; nothing that is asked for here has
/// an answer of more than a few kilobytes.
const MOST: usize = 1 << 20;

const LITTLE: u8 = b'l';
const BIG: u8 = b'B';
const ENDIAN: u8 = if cfg!(target_endian = "little") {
    LITTLE
} else {
    BIG
};

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

// Kinds of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(in crate::config::keychain::secret_service) struct Method<'a> {
    pub(in crate::config::keychain::secret_service) destination: &'a str,
    pub(in crate::config::keychain::secret_service) path: &'a str,
    pub(in crate::config::keychain::secret_service) interface: &'a str,
    pub(in crate::config::keychain::secret_service) member: &'a str,
}

/// What came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) reply_to: Option<u32>,
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) member: String,
    pub(super) error: String,
    pub(super) signature: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    Signal,
    /// A call of ours that nobody here answers, or what newer versions know.
    #[default]
    Other,
}

/// The body of a reply or of a signal. Wiped when it is dropped.
pub(in crate::config::keychain::secret_service) struct Body {
    pub(super) signature: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// The bytes of a call, whose arguments have this signature.
pub(super) fn call(
    serial: u32,
    method: Method<'_>,
    signature: &str,
    arguments: impl FnOnce(&mut Writer),
) -> Zeroizing<Vec<u8>> {
    let mut body = Writer::with_capacity(4096);
    arguments(&mut body);
    let body_length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut message = Writer::with_capacity(8192);
    message.byte(ENDIAN).byte(METHOD_CALL).byte(0).byte(1);
    message.number(body_length).number(serial);
    message.array(8, |fields| {
        let texts = [
            (PATH, "o", method.path),
            (INTERFACE, "s", method.interface),
            (MEMBER, "s", method.member),
            (DESTINATION, "s", method.destination),
        ];
        for (field, kind, text) in texts {
            fields.structure().byte(field).signature(kind).text(text);
        }
        if !signature.is_empty() {
            let field = fields.structure().byte(SIGNATURE);
            field.signature("g").signature(signature);
        }
    });
    message.align(8);
    message.append(&body.into_bytes());
    message.into_bytes()
}

/// How many bytes follow the first [`HEAD`] of a message.
pub(super) fn rest(head: &[u8; HEAD]) -> Result<usize, Malformed> {
    let mut reader = Reader::new(head);
    if reader.byte()? != ENDIAN {
        return Err(Malformed);
    }
    reader.take(3)?;
    let body = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
    reader.number()?;
    let fields = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
    if body > MOST || fields > MOST {
        return Err(Malformed);
    }
    Ok(fields.next_multiple_of(8) + body)
}

/// A whole message: what it is, and where its body begins.
pub(super) fn parse(message: &[u8]) -> Result<(Header, usize), Malformed> {
    let mut reader = Reader::new(message);
    reader.take(1)?;
    let kind = match reader.byte()? {
        METHOD_RETURN => Kind::Return,
        ERROR => Kind::Error,
        SIGNAL => Kind::Signal,
        _ => Kind::Other,
    };
    // Flags, version, the body's length, the serial.
    reader.take(10)?;
    let mut header = Header {
        kind,
        ..Header::default()
    };
    let mut fields = reader.array(8)?;
    while !fields.is_empty() {
        fields.structure()?;
        let field = fields.byte()?;
        let kind = fields.signature()?;
        let text = match kind {
            "s" | "o" => fields.text()?,
            "g" => fields.signature()?,
            "u" => {
                let number = fields.number()?;
                if field == REPLY_SERIAL {
                    header.reply_to = Some(number);
                }
                continue;
            }
            // No header has others.
            _ => return Err(Malformed),
        };
        match field {
            PATH => header.path = text.to_owned(),
            INTERFACE => header.interface = text.to_owned(),
            MEMBER => header.member = text.to_owned(),
            ERROR_NAME => header.error = text.to_owned(),
            SIGNATURE => header.signature = text.to_owned(),
            _ => {}
        }
    }
    reader.align(8)?;
    Ok((header, reader.at()))
}

impl Body {
    /// What is in it, if it has this signature.
    pub(in crate::config::keychain::secret_service) fn read(
        &self,
        signature: &str,
    ) -> Result<Reader<'_>, Malformed> {
        match self.signature == signature {
            true => Ok(Reader::new(&self.bytes)),
            false => Err(Malformed),
        }
    }
}
