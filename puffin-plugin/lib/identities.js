'use strict'

const { execFile } = require('node:child_process')
const fs = require('node:fs/promises')
const os = require('node:os')
const path = require('node:path')

const AGENT_MS = 3_000
const HEAD_BYTES = 512
const KEY_FILES = 50

/**
 * What this machine has to sign in with: the agent's keys and the private-key files of `~/.ssh`. Only
 * public facts: a key file's first bytes say that it is one.
 *
 * @param {{home?: string, env?: object, run?: Function}} [options]
 * @returns {Promise<{agent: {keys: object[]}|null, keyFiles: {path: string, type: string|null, encrypted: boolean|null}[]}>}
 */
async function listIdentities({ home = os.homedir(), env = process.env, run = execFile } = {}) {
  const [agent, keyFiles] = await Promise.all([agentKeys(env, run), privateKeys(path.join(home, '.ssh'))])
  return { agent, keyFiles }
}

/** `256 SHA256:… comment (ED25519)`, a line each; null: there is no agent. */
function agentKeys(env, run) {
  if (!env.SSH_AUTH_SOCK && process.platform !== 'win32') return Promise.resolve(null)
  return new Promise(resolve => {
    run('ssh-add', ['-l'], { timeout: AGENT_MS, env, windowsHide: true }, (error, stdout) => {
      // 1: it has no keys; anything else: it is not there.
      if (error && error.code !== 1) return resolve(null)
      const lines = String(stdout).split('\n').map(line => /^\d+ (SHA256:\S+) (.*) \((\S+)\)$/.exec(line)).filter(Boolean)
      resolve({ keys: lines.map(([, fingerprint, comment, type]) => ({ fingerprint, comment, type })) })
    })
  })
}

async function privateKeys(folder) {
  let names
  try {
    names = await fs.readdir(folder)
  } catch {
    return []
  }
  const found = await Promise.all(names.sort().slice(0, 500).map(name => keyAt(folder, name)))
  return found.filter(Boolean).slice(0, KEY_FILES)
}

async function keyAt(folder, name) {
  const file = path.join(folder, name)
  try {
    if (name.endsWith('.pub') || !(await fs.lstat(file)).isFile()) return null
    const head = await headOf(file)
    if (!/^-----BEGIN (OPENSSH |RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY-----|^PuTTY-User-Key-File-/.test(head)) return null
    return { path: `~/.ssh/${name}`, type: await typeOf(file), encrypted: isEncrypted(head) }
  } catch {
    return null
  }
}

async function headOf(file) {
  const handle = await fs.open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Of the public half, where that lies beside it; in the words of `ssh-add`. */
async function typeOf(file) {
  try {
    const [word] = (await fs.readFile(`${file}.pub`, 'utf8')).split(' ')
    const algorithm = /ed25519|ecdsa|rsa|dss/.exec(word)?.[0]
    return algorithm ? `${algorithm.toUpperCase()}${word.startsWith('sk-') ? '-SK' : ''}` : null
  } catch {
    return null
  }
}

/** The cipher's name stands in the first bytes of OpenSSH's format. */
function isEncrypted(head) {
  if (/^-----BEGIN OPENSSH/.test(head)) {
    const bytes = Buffer.from(head.split('\n').slice(1).join(''), 'base64')
    const length = bytes.length >= 19 ? bytes.readUInt32BE(15) : 0
    return bytes.toString('latin1', 19, 19 + Math.min(length, 64)) !== 'none'
  }
  if (/ENCRYPTED/.test(head)) return true
  if (/^PuTTY/.test(head)) return /^Encryption: (?!none)/m.test(head)
  return false
}

module.exports = { listIdentities }
