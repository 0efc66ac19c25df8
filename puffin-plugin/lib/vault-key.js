'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const FILE = 'vault-key.bin'
/** The daemon's, below the same folder. */
const VAULT = path.join('remote-llm', 'vault.json')
const BYTES = 32
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])
/** Electron's names for "no key ring": what it seals then, anybody can open. */
const PLAIN_BACKENDS = new Set(['basic_text', 'unknown'])

/**
 * The key of the daemon's vault: 32 random bytes, sealed by the system's own store through Electron's
 * `safeStorage`. Where that has none, there is no key, and secrets live until Puffin ends.
 *
 * @param {object} options
 * @param {object|undefined} options.safeStorage Electron's; its asynchronous calls are used where it has
 *   them
 * @param {string} options.storageDir
 * @param {string} [options.platform]
 * @returns {Promise<{key: string|null, reason?: string}>} base64; the reason is a sentence
 */
async function loadVaultKey({ safeStorage, storageDir, platform = process.platform }) {
  const file = path.join(storageDir, FILE)
  try {
    const lack = await lackOf(safeStorage, platform)
    if (lack) return { key: null, reason: lack }
    // A key that cannot be read is never replaced, nor one that is lost: the vault needs it.
    let sealed = read(file)
    if (sealed === null) {
      if (fs.existsSync(path.join(storageDir, VAULT))) return { key: null, reason: `There is a vault already, and ${file}, which would open it, is not there. Open it with its passphrase, restore the file, or begin an empty vault.` }
      sealed = create(file, await seal(safeStorage, crypto.randomBytes(BYTES).toString('base64')))
    }
    const { key, again } = await open(safeStorage, sealed)
    if (Buffer.from(key, 'base64').length !== BYTES) return { key: null, reason: `${file} does not hold the vault's key.` }
    if (again) replace(file, await seal(safeStorage, key))
    return { key }
  } catch (error) {
    return { key: null, reason: `The vault's key could not be had from the system's key store (${error.message}).` }
  }
}

async function lackOf(safeStorage, platform) {
  if (!safeStorage) return 'There is no system key store here.'
  const available = safeStorage.isAsyncEncryptionAvailable
    ? await safeStorage.isAsyncEncryptionAvailable()
    : safeStorage.isEncryptionAvailable?.()
  if (!available) return 'The system’s key store is not available, or is locked.'
  if (platform === 'linux' && PLAIN_BACKENDS.has(safeStorage.getSelectedStorageBackend?.() ?? 'unknown')) {
    return 'This desktop has no key ring (GNOME Keyring, KWallet); without one the key would lie open.'
  }
  return null
}

async function seal(safeStorage, text) {
  return safeStorage.encryptStringAsync ? safeStorage.encryptStringAsync(text) : safeStorage.encryptString(text)
}

/** @returns {Promise<{key: string, again: boolean}>} `again`: the store has a newer key, and wants it sealed by that */
async function open(safeStorage, sealed) {
  if (!safeStorage.decryptStringAsync) return { key: safeStorage.decryptString(sealed), again: false }
  const opened = await safeStorage.decryptStringAsync(sealed)
  return typeof opened === 'string' ? { key: opened, again: false } : { key: opened.result, again: opened.shouldReEncrypt === true }
}

function read(file) {
  try {
    return fs.readFileSync(file)
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

/** Whole or not at all, and the first of two windows wins. @returns {Buffer} what the file holds now */
function create(file, sealed) {
  const temporary = write(file, sealed)
  try {
    link(temporary, file)
    return sealed
  } catch (error) {
    if (error.code === 'EEXIST') return fs.readFileSync(file)
    throw error
  } finally {
    fs.unlinkSync(temporary)
  }
}

/** Never over a file that is there. Some file systems have no links; a copy is the next best thing. */
function link(from, to) {
  try {
    fs.linkSync(from, to)
  } catch (error) {
    if (!NO_LINKS.has(error.code)) throw error
    fs.copyFileSync(from, to, fs.constants.COPYFILE_EXCL)
  }
}

/** The same key, sealed anew: whichever of the two is there opens the vault. */
function replace(file, sealed) {
  fs.renameSync(write(file, sealed), file)
}

/** @returns {string} a file beside it, for its owner only, that is on the disk */
function write(file, sealed) {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${process.pid}.${crypto.randomBytes(6).toString('hex')}`
  const handle = fs.openSync(temporary, 'wx', 0o600)
  try {
    fs.writeSync(handle, sealed)
    fs.fsyncSync(handle)
  } finally {
    fs.closeSync(handle)
  }
  return temporary
}

module.exports = { loadVaultKey, FILE }
