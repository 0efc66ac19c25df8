/**
 * Goes through a folder without following links, holding each folder open while it is in it, and within
 * bounds: a tree may be endless, and may change meanwhile.
 */
'use strict'

const { isSecret } = require('./sensitive')

const SKIPPED = new Set(['.git', '.hg', '.svn', '.jj', 'node_modules', '.puffin'])
const MAX_DEPTH = 64
const MAX_ENTRIES = 200_000

/**
 * @typedef {object} Found
 * @property {import('./descend').Folder} folder  open until the next one is asked for
 * @property {string} name
 * @property {string} path  below the start, with `/`
 * @property {boolean} secret
 */

class Walk {
  /**
   * @param {import('./jail').Jail} jail
   * @param {import('./jail').Place} place  a folder
   * @param {{signal?: AbortSignal, maxEntries?: number}} [options]
   */
  constructor(jail, place, { signal, maxEntries = MAX_ENTRIES } = {}) {
    this.jail = jail
    this.place = place
    this.signal = signal
    this.left = maxEntries
    /** What was not gone into; told to the model. */
    this.unread = 0
    this.cut = false
  }

  /** @yields {Found} regular files, those of a folder before those of the folders in it */
  async * files() {
    const folder = await this.jail.openFolder(this.place)
    yield * this.#within(folder, '', 0)
  }

  /** Why not everything was seen; '' when it was. */
  note() {
    return [
      this.cut && '[not all: there are too many files; name a folder]',
      this.unread > 0 && `[${this.unread} folders could not be read]`
    ].filter(Boolean).join('\n')
  }

  async * #within(folder, prefix, depth) {
    try {
      const folders = []
      const entries = await folder.entries().catch(() => undefined)
      if (!entries) {
        this.unread++
        return
      }
      for await (const entry of entries) {
        this.signal?.throwIfAborted()
        if (this.left-- <= 0) {
          this.cut = true
          break
        }
        const path = prefix + entry.name
        if (entry.isDirectory()) folders.push(entry.name)
        else if (entry.isFile()) yield { folder, name: entry.name, path, secret: isSecret([...this.place.segments, ...path.split('/')]) }
      }
      for (const name of folders.sort()) {
        if (this.cut || SKIPPED.has(name)) continue
        if (depth >= MAX_DEPTH) {
          this.cut = true
          continue
        }
        const next = await folder.openFolder(name).catch(() => undefined)
        if (next) yield * this.#within(next, `${prefix}${name}/`, depth + 1)
        else this.unread++
      }
    } finally {
      await folder.close()
    }
  }
}

module.exports = { Walk }
