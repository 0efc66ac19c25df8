/** Fingerprints as people copy them: with or without the name of the hash, padding, or what stands around them. */

/** @returns {boolean} whether `typed` holds exactly this SHA-256 fingerprint */
export function sameFingerprint(typed, fingerprint) {
  const wanted = bare(fingerprint)
  const words = typed.split(/\s+/).map(bare).filter(word => /^[A-Za-z0-9+/]{43}$/.test(word))
  return wanted.length === 43 && words.length > 0 && words.every(word => word === wanted)
}

function bare(text) {
  return text.trim().replace(/^SHA256:/i, '').replace(/=+$/, '')
}
