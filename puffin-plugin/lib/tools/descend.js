/**
 * Opens what is below a root, one name after the other, and follows no link on the way.
 *
 * On Linux every step is relative to the folder held open before it (`/proc/self/fd/N/name` is what
 * `openat` would do), so nothing that is renamed meanwhile can lead out. macOS refuses links anywhere in a
 * path by itself (O_NOFOLLOW_ANY), and the temporary file that it made inside is not found outside when it is
 * renamed. Elsewhere what was opened is compared with its path again afterwards; there a window remains for
 * writing, between that comparison and the rename.
 */
'use strict'

const fs = require('./fs').promises
const { constants, accessSync, openSync, closeSync } = require('./fs')
const path = require('node:path')
const { randomBytes } = require('node:crypto')
const { Fault } = require('./fault')

// macOS's refuses links in the whole path; it is not for use together with O_NOFOLLOW.
const NO_FOLLOW = process.platform === 'darwin' ? 0x20000000 : constants.O_NOFOLLOW ?? 0
const FOLDER = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | NO_FOLLOW
// A pipe must not make the opening wait for its other end.
const FILE = constants.O_RDONLY | NO_FOLLOW | (constants.O_NONBLOCK ?? 0)
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW

/** Whether folders can be held open and walked from on this system. */
function canAnchor() {
  if (process.platform !== 'linux') return false
  let folder
  try {
    folder = openSync('/', FOLDER)
    accessSync(`/proc/self/fd/${folder}/proc`)
    return true
  } catch {
    return false
  } finally {
    if (folder !== undefined) closeSync(folder)
  }
}

/**
 * @param {import('./jail').Root} root
 * @param {string[]} segments  plain names, from the root down to a folder
 * @param {{anchored: boolean, create?: boolean}} options  `create`: missing folders are made
 * @returns {Promise<Folder>} to be closed by the caller
 */
async function descend(root, segments, { anchored, create = false }) {
  let folder = new Folder(await holdFolder(root.real, anchored), root.real, root, anchored)
  try {
    for (const name of segments) {
      if (create) await fs.mkdir(folder.at(name)).catch(ignore('EEXIST'))
      const next = await folder.openFolder(name)
      await folder.close()
      folder = next
    }
    return folder
  } catch (error) {
    await folder.close()
    throw error
  }
}

/** A folder that stays the same one however it is renamed. */
class Folder {
  #handle

  constructor(handle, realPath, root, anchored) {
    this.#handle = handle
    this.path = realPath
    this.root = root
    this.anchored = anchored
  }

  /** A path that leads to the entry `name` of this very folder; without a name to the folder. */
  at(name = '') {
    return this.anchored ? `/proc/self/fd/${this.#handle.fd}/${name}` : path.join(this.path, name)
  }

  /** The entries, as they are read: a folder may hold millions. */
  entries() {
    return fs.opendir(this.at(), { bufferSize: 256 })
  }

  async openFolder(name) {
    const handle = await holdFolder(this.at(name), this.anchored)
    const folder = new Folder(handle, path.join(this.path, name), this.root, this.anchored)
    try {
      if (handle) await folder.#confirm(handle, folder.path)
      return folder
    } catch (error) {
      await folder.close()
      throw error
    }
  }

  /** A regular file, open for reading. The caller closes it. */
  async openFile(name) {
    const handle = await fs.open(this.at(name), FILE)
    try {
      if (!(await handle.stat()).isFile()) {
        throw new Fault('TOOL_INVALID_INPUT', `${name} is not a regular file (a folder, a pipe or a device).`)
      }
      await this.#confirm(handle, path.join(this.path, name))
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** See `Jail.replaceFile`. */
  async replaceFile(name, data, { expected, mode }) {
    const temporary = `.puffin-${randomBytes(8).toString('hex')}.tmp`
    const handle = await fs.open(this.at(temporary), NEW_FILE, mode ?? 0o666)
    try {
      await this.#confirm(handle, path.join(this.path, temporary))
      if (mode !== undefined) await handle.chmod(mode)
      await handle.writeFile(data)
      await handle.sync()
      await handle.close()
      await this.#demand(name, expected)
      await fs.rename(this.at(temporary), this.at(name))
    } catch (error) {
      await handle.close().catch(() => {})
      await fs.unlink(this.at(temporary)).catch(() => {})
      throw error
    }
    // Best effort: not every file system lets a folder be synchronised.
    await this.#handle?.sync().catch(() => {})
  }

  async close() {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  /** What is there must be what the person saw when they agreed. */
  async #demand(name, expected) {
    let now = null
    try {
      const handle = await this.openFile(name)
      try {
        now = await readAtMost(handle, (expected?.length ?? 0) + 1)
      } finally {
        await handle.close()
      }
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    const same = expected === null ? now === null : now !== null && now.equals(expected)
    if (!same) throw new Fault('TOOL_PATH_CHANGED', `${name} was changed meanwhile, and nothing was written. Read it again.`)
  }

  async #confirm(handle, expectedPath) {
    const inside = this.anchored
      ? startsBelow(this.root.real, await fs.readlink(`/proc/self/fd/${handle.fd}`))
      : await isAt(handle, expectedPath)
    if (!inside) throw new Fault('TOOL_PATH_CHANGED', `${path.basename(expectedPath)} was moved while it was being opened. Try again.`)
  }
}

/**
 * @param {fs.FileHandle} handle
 * @param {number} limit  bytes
 * @returns {Promise<Buffer>} the beginning of the file
 */
async function readAtMost(handle, limit) {
  const parts = []
  let position = 0
  while (position < limit) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(limit - position, 1 << 18)), 0, undefined, position)
    if (bytesRead === 0) break
    parts.push(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return Buffer.concat(parts)
}

async function holdFolder(at, anchored) {
  if (anchored || process.platform !== 'win32') return fs.open(at, FOLDER)
  // Windows opens no folder as a file: only its kind can be looked at.
  const info = await fs.lstat(at)
  if (!info.isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' })
  return undefined
}

async function isAt(handle, expectedPath) {
  if (await fs.realpath(expectedPath) !== expectedPath) return false
  const [held, now] = [await handle.stat({ bigint: true }), await fs.lstat(expectedPath, { bigint: true })]
  return held.dev === now.dev && held.ino === now.ino && await fs.realpath(expectedPath) === expectedPath
}

/** Whether a canonical path is the root or below it. Only for systems with `/`. */
function startsBelow(root, real) {
  return real === root || real.startsWith(root.endsWith('/') ? root : `${root}/`)
}

function ignore(code) {
  return error => {
    if (error.code !== code) throw error
  }
}

module.exports = { FILE, canAnchor, descend, readAtMost, startsBelow }
