/** The vault, in a person's words. */

const LOCKED = {
  VAULT_LOCKED: { passphrase: true, reset: true },
  VAULT_KEY_MISMATCH: { passphrase: true, reset: true },
  VAULT_KEYCHAIN_UNAVAILABLE: { passphrase: false, reset: true },
  VAULT_KEY_LOST: { passphrase: false, reset: true },
  VAULT_CORRUPT: { passphrase: false, reset: true },
  VAULT_TOO_NEW: { passphrase: false, reset: false },
  STORE_IO: { passphrase: false, reset: false }
}

/**
 * @param {{state: string, problem?: {message: string, code?: string, data?: {code: string, hint?: string}}}|null} vault
 * @returns {{sentence: string, locked: boolean, passphrase: boolean, reset: boolean}|null} null: all is well
 */
export function vaultProblem(vault) {
  if (vault?.state === 'session-only') {
    return {
      sentence: 'Passwords and keys that you enter here are kept until Puffin ends: this computer offers no safe place to keep them longer.',
      locked: false,
      passphrase: true,
      reset: false
    }
  }
  if (vault?.state !== 'locked') return null
  const { problem } = vault
  const code = problem?.data?.code ?? problem?.code
  const can = LOCKED[code] ?? { passphrase: false, reset: false }
  return { sentence: [problem?.message ?? 'The saved secrets are locked.', problem?.data?.hint].filter(Boolean).join(' '), locked: true, ...can }
}
