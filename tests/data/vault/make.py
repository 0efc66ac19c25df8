#!/usr/bin/env python3
"""Writes the vault files beside it, by what the format says and with nothing of the daemon.

    python3 tests/data/vault/make.py        (needs the package cryptography, 44 or newer)

`host.json` opens with the key of a host, `passphrase.json` with a passphrase; both hold the same
secrets. Everything is fixed, the nonces and the keys too, so that a run changes no byte.
XChaCha20 is made here of ChaCha20 (draft-irtf-cfrg-xchacha-03): OpenSSL has none.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

VAULT_ID = "6f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"
HOST_KEY = bytes(range(32))
PASSPHRASE = "correct horse battery staple \u00fc"
DATA_KEY = bytes(range(64, 96))
EPOCH = 7
# Owner (the profile, and the project that it is in), field, address, secret.
SECRETS = [
    ("gpu@0123456789abcdef", "llm.apiKey", ("gpu.example", "22", "ai", "http://127.0.0.1:8000"),
     "sk-known-answer"),
    ("gpu@0123456789abcdef", "ssh.password", ("gpu.example", "22", "ai", ""),
     "p\u00e4ssw\u00f6rd \U0001f427"),
    ("laptop@fedcba9876543210", "ssh.jumpHosts[0].passphrase", ("gate", "", "", ""), ""),
]


def joined(*parts):
    return b"".join(struct.pack(">Q", len(part)) + part for part in parts)


def text(data):
    return base64.b64encode(data).decode()


def hchacha20(key, nonce):
    def rotate(value, bits):
        return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            state[z] = rotate(state[z] ^ state[x], bits)

    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for row in range(4):
            quarter(row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def seal(key, nonce, plain, context):
    inner = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
    return inner.encrypt(bytes(4) + nonce[16:], plain, context)


def derived(key, purpose):
    # The daemon extracts first, with no salt.
    extracted = hmac.digest(bytes(32), key, "sha256")
    return HKDFExpand(SHA256(), 32, purpose.encode()).derive(extracted)


def nonce(name):
    return hashlib.sha256(name.encode()).digest()[:24]


def slot(source, key, kdf):
    kek_id = derived(key, "rllm/kek-id")[:8]
    of_kdf = b""
    if kdf:
        numbers = [struct.pack(">I", kdf[name]) for name in ("v", "m", "t", "p")]
        of_kdf = joined(b"argon2id", *numbers, base64.b64decode(kdf["salt"]))
    context = joined(b"rllm/v1/dek", VAULT_ID.encode(), source.encode(), kek_id, of_kdf)
    wrap = nonce("wrap")
    return {
        "source": source,
        "kekId": text(kek_id),
        "kdf": kdf,
        "wrap": {"nonce": text(wrap), "ciphertext": text(seal(key, wrap, DATA_KEY, context))},
    }


def entries():
    key = derived(DATA_KEY, "rllm/entry")
    all_entries = {}
    for owner, field, address, secret in SECRETS:
        bind = hashlib.sha256(joined(*(part.encode() for part in address))).digest()
        context = joined(b"rllm/v1/entry", VAULT_ID.encode(), owner.encode(), field.encode(), bind)
        sealed = seal(key, nonce(owner + field), secret.encode(), context)
        all_entries.setdefault(owner, {})[field] = {
            "nonce": text(nonce(owner + field)),
            "ciphertext": text(sealed),
            "bind": text(bind),
        }
    return all_entries


def document(key_slot):
    vault = {
        "format": "remote-llm-vault",
        "version": 1,
        "vaultId": VAULT_ID,
        "epoch": EPOCH,
        "key": key_slot,
        "entries": entries(),
        "mac": text(bytes(32)),
    }
    # The MAC is of the whole file, with zeros in its own place.
    mac = hmac.digest(derived(DATA_KEY, "rllm/mac"), written(vault), "sha256")
    return written({**vault, "mac": text(mac)})


def written(vault):
    return (json.dumps(vault, indent=2) + "\n").encode()


def main():
    here = pathlib.Path(__file__).parent
    (here / "host.json").write_bytes(document(slot("host", HOST_KEY, None)))
    kdf = {"name": "argon2id", "v": 19, "m": 65536, "t": 3, "p": 4, "salt": text(bytes(range(16)))}
    stretched = Argon2id(
        salt=bytes(range(16)), length=32, iterations=3, lanes=4, memory_cost=65536
    ).derive(PASSPHRASE.encode())
    (here / "passphrase.json").write_bytes(document(slot("passphrase", stretched, kdf)))
    # What the XChaCha draft has in 2.2.1, and RFC 5869 in A.3: that this is what it says it is.
    subkey = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))
    assert subkey.hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    extracted = hmac.digest(bytes(32), bytes.fromhex("0b" * 22), "sha256")
    assert extracted.hex() == "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"


if __name__ == "__main__":
    main()
