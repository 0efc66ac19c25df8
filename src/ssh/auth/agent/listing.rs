//! The agent's list of keys, read one by one: russh gives up the whole list for
//! one entry that it does not know, such as a new kind of key.

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::{Decode as _, Reader as _};
use russh::keys::{Certificate, PublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::DynStream;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

/// An honest agent's list is far smaller.
const MAX_ANSWER: usize = 256 * 1024;

/// What the agent holds, in its order.
#[derive(Debug, Default)]
pub(in crate::ssh::auth) struct Listing {
    pub(in crate::ssh::auth) identities: Vec<AgentIdentity>,
    /// Entries that this program cannot read.
    pub(in crate::ssh::auth) unreadable: usize,
}

/// Asks an agent for its keys. The error is a text for people.
pub(super) async fn request(stream: &mut DynStream) -> Result<Listing, String> {
    let answer = exchange(stream).await.map_err(|error| error.to_string())?;
    match answer.split_first() {
        Some((&IDENTITIES_ANSWER, list)) => {
            parse(list).ok_or_else(|| "its list of keys is damaged".to_owned())
        }
        Some(_) | None => Err("it refuses to list its keys".to_owned()),
    }
}

async fn exchange(stream: &mut DynStream) -> std::io::Result<Vec<u8>> {
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
    stream.flush().await?;
    let length = stream.read_u32().await? as usize;
    if length > MAX_ANSWER {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// `None` if the list itself is cut or malformed.
fn parse(mut list: &[u8]) -> Option<Listing> {
    let count = u32::decode(&mut list).ok()?;
    let mut listing = Listing::default();
    for _ in 0..count {
        let blob = Vec::<u8>::decode(&mut list).ok()?;
        let comment = Vec::<u8>::decode(&mut list).ok()?;
        let comment = String::from_utf8_lossy(&comment).into_owned();
        match identity(&blob, comment) {
            Some(identity) => listing.identities.push(identity),
            None => listing.unreadable += 1,
        }
    }
    Some(listing)
}

fn identity(mut blob: &[u8], comment: String) -> Option<AgentIdentity> {
    let name = String::decode(&mut &*blob).ok()?;
    if !name.ends_with("-cert-v01@openssh.com") {
        let key = PublicKey::from_bytes(blob).ok()?;
        // A kind that could never be named in a request.
        let known = !matches!(key.algorithm(), russh::keys::Algorithm::Other(_));
        return known.then_some(AgentIdentity::PublicKey { key, comment });
    }
    // The authority's key inside must be a plain one: no certificates in certificates.
    let certificate = Certificate::decode(&mut blob).ok()?;
    blob.is_finished().then_some(AgentIdentity::Certificate {
        certificate,
        comment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_encoding::Encode as _;
    use russh::keys::{Algorithm, PrivateKey};

    fn list(blobs: &[&[u8]]) -> Vec<u8> {
        let mut list = Vec::new();
        (blobs.len() as u32).encode(&mut list).unwrap();
        for blob in blobs {
            blob.encode(&mut list).unwrap();
            "comment".encode(&mut list).unwrap();
        }
        list
    }

    #[test]
    fn a_key_of_an_unknown_kind_does_not_hide_the_others() {
        let key = || PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        let (one, two) = (key().unwrap(), key().unwrap());
        let blobs = [one, two].map(|key| key.public_key().to_bytes().unwrap());
        let mut future = Vec::new();
        "ssh-future@example.org".encode(&mut future).unwrap();
        [1_u8; 32].as_slice().encode(&mut future).unwrap();
        let listing = parse(&list(&[&blobs[0], &future, b"\0\0\0\xffcut", &blobs[1]])).unwrap();
        assert_eq!(listing.identities.len(), 2);
        assert_eq!(listing.unreadable, 2);
    }

    #[test]
    fn a_list_that_is_cut_is_no_list() {
        let whole = list(&[b"x", b"y"]);
        assert!(parse(&whole).is_some());
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_none(), "{end}");
        }
        assert!(parse(&[0xff; 64]).is_none());
    }
}
