//! Values of D-Bus as bytes: each is aligned to its size, counted from the message's beginning.
//! In this machine's own byte order; a session's bus is on this machine.

use secrecy::zeroize::Zeroizing;

/// Bytes that are no value of the kind that was expected.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config::keychain::secret_service) struct Malformed;

/// Writes values, one after the other. What was written is wiped when it is dropped.
#[derive(Default)]
pub(in crate::config::keychain::secret_service) struct Writer(Zeroizing<Vec<u8>>);

/// Reads values, one after the other.
#[derive(Debug, Clone)]
pub(in crate::config::keychain::secret_service) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Writer {
    /// With room for so many bytes: none is left behind where it would have to grow.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn align(&mut self, size: usize) -> &mut Self {
        let aligned = self.0.len().next_multiple_of(size);
        self.0.resize(aligned, 0);
        self
    }

    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    /// Bytes as they are.
    pub(super) fn append(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    /// `u`
    pub(super) fn number(&mut self, number: u32) -> &mut Self {
        self.align(4).0.extend(number.to_ne_bytes());
        self
    }

    /// `b`
    pub(in crate::config::keychain::secret_service) fn truth(&mut self, truth: bool) -> &mut Self {
        self.number(truth.into())
    }

    /// `s` and `o`
    pub(in crate::config::keychain::secret_service) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes()).byte(0)
    }

    /// `ay`
    pub(in crate::config::keychain::secret_service) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // Nothing that is written here comes near four gigabytes.
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
            .append(bytes)
    }

    /// `g`, and the beginning of a `v`, whose value follows.
    pub(in crate::config::keychain::secret_service) fn signature(
        &mut self,
        signature: &str,
    ) -> &mut Self {
        self.byte(u8::try_from(signature.len()).unwrap_or(u8::MAX))
            .append(signature.as_bytes())
            .byte(0)
    }

    /// `a…`, of elements that are aligned to so many bytes.
    pub(in crate::config::keychain::secret_service) fn array(
        &mut self,
        alignment: usize,
        fill: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.number(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let begin = self.0.len();
        fill(self);
        let length = u32::try_from(self.0.len() - begin).unwrap_or(u32::MAX);
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// `(…)` and `{…}`
    pub(in crate::config::keychain::secret_service) fn structure(&mut self) -> &mut Self {
        self.align(8)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn align(&mut self, size: usize) -> Result<(), Malformed> {
        let padding = self.at.next_multiple_of(size) - self.at;
        self.take(padding).map(drop)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    /// `u`
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// `b`
    pub(in crate::config::keychain::secret_service) fn truth(&mut self) -> Result<bool, Malformed> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// `s` and `o`
    pub(in crate::config::keychain::secret_service) fn text(
        &mut self,
    ) -> Result<&'a str, Malformed> {
        let bytes = self.bytes()?;
        self.end()?;
        std::str::from_utf8(bytes).map_err(|_| Malformed)
    }

    /// `ay`
    pub(in crate::config::keychain::secret_service) fn bytes(
        &mut self,
    ) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// `g`, and the beginning of a `v`, whose value follows.
    pub(in crate::config::keychain::secret_service) fn signature(
        &mut self,
    ) -> Result<&'a str, Malformed> {
        let length = self.byte()?;
        let bytes = self.take(length.into())?;
        self.end()?;
        std::str::from_utf8(bytes).map_err(|_| Malformed)
    }

    /// `as` and `ao`
    pub(in crate::config::keychain::secret_service) fn texts(
        &mut self,
    ) -> Result<Vec<String>, Malformed> {
        let mut texts = Vec::new();
        let mut elements = self.array(4)?;
        while !elements.is_empty() {
            texts.push(elements.text()?.to_owned());
        }
        Ok(texts)
    }

    /// `a…`, of elements that are aligned to so many bytes. Its reader ends where the array does;
    /// this one is behind it.
    pub(super) fn array(&mut self, alignment: usize) -> Result<Self, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        self.align(alignment)?;
        let begin = self.at;
        self.take(length)?;
        Ok(Self {
            bytes: self.bytes.get(..self.at).ok_or(Malformed)?,
            at: begin,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// `(…)` and `{…}`
    pub(in crate::config::keychain::secret_service) fn structure(
        &mut self,
    ) -> Result<(), Malformed> {
        self.align(8)
    }

    fn end(&mut self) -> Result<(), Malformed> {
        match self.byte()? {
            0 => Ok(()),
            _ => Err(Malformed),
        }
    }
}
