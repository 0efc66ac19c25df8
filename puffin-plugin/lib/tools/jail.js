/**
 * Which files the tools may touch: the project and its additional folders, with every symbolic link
 * resolved. What is allowed is decided here; `descend.js` then opens it without following any link, so
 * that a link put in place in between leads nowhere.
 */
'use strict'

const fs = require('./fs').promises
const os = require('node:os')
const path = require('node:path')
const { Fault, fromSystem } = require('./fault')
const descend = require('./descend')

const MAX_PATH = 4096
const NOT_A_PLACE_ON_WINDOWS = /[<>"|?*]|:(?!\\)|~\d|(^|[\\/])(con|prn|aux|nul|com\d|lpt\d)(\.[^\\/]*)?([\\/]|$)/i

/**
 * @typedef {object} Root
 * @property {string} lexical  as the host named it
 * @property {string} real  the same with links resolved
 * @property {boolean} readOnly
 * @property {boolean} project  whether it is the project itself
 *
 * @typedef {object} Place  a path that was found to be inside
 * @property {string} path  canonical: no link, no `..`
 * @property {Root} root  the innermost root that holds it
 * @property {string[]} segments  the way from the root
 * @property {boolean} exists
 * @property {string} display  how to name it: relative to the project, or absolute
 */

class Jail {
  /**
   * @param {Root[]} roots
   * @param {{anchored?: boolean}} [options]  `anchored: false` opens as on systems without /proc
   */
  constructor(roots, options = {}) {
    this.roots = roots
    this.project = roots[0]
    this.anchored = options.anchored ?? descend.canAnchor()
  }

  /**
   * @param {{projectPath: string, additionalDirs?: Array<string | {path: string, readOnly?: boolean}>}} folders
   * @param {{anchored?: boolean}} [options]
   * @returns {Promise<Jail>}
   * @throws {Fault} when there is no project folder; a missing additional folder is left out
   */
  static async open({ projectPath, additionalDirs = [] }, options) {
    const project = await rootAt(projectPath, { readOnly: false, project: true })
    if (!project) throw new Fault('TOOL_EXECUTION_FAILED', 'The project folder does not exist: open a project in Puffin.')
    const others = await Promise.all((additionalDirs ?? []).map(entry => typeof entry === 'string'
      ? rootAt(entry, { readOnly: false, project: false })
      : rootAt(entry?.path, { readOnly: entry?.readOnly === true, project: false })))
    return new Jail([project, ...others.filter(Boolean)], options)
  }

  /**
   * Where a path of the model's leads, if that is inside.
   *
   * @param {string} input  absolute, or relative to the project
   * @param {{write?: boolean}} [options]  `write`: also refuses folders that are read-only
   * @returns {Promise<Place>}
   * @throws {Fault}
   */
  async resolve(input, { write = false } = {}) {
    const asked = this.#absolute(input)
    if (!this.roots.some(root => within(root.lexical, asked) || within(root.real, asked))) throw outside(input)
    const { head, missing } = await realHead(asked, input)
    const real = path.join(head, ...missing)
    const root = this.innermost(real)
    if (!root) throw outside(input)
    if (write && root.readOnly) {
      throw new Fault('TOOL_READ_ONLY', `${input} is in a folder that was added as read-only. It can be read, but not changed.`)
    }
    const segments = path.relative(root.real, real).split(path.sep).filter(Boolean)
    return { path: real, root, segments, exists: missing.length === 0, display: this.display(real) }
  }

  /** The innermost root that holds a canonical path; of two equal ones the read-only one. */
  innermost(real) {
    return this.roots
      .filter(root => within(root.real, real))
      .sort((a, b) => b.real.length - a.real.length || Number(b.readOnly) - Number(a.readOnly))[0]
  }

  /** A canonical path as the model and a person should read it, with `/` on every system. */
  display(real) {
    const shown = within(this.project.real, real) ? path.relative(this.project.real, real) || '.' : real
    return shown.split(path.sep).join('/')
  }

  /**
   * Opens a regular file for reading.
   *
   * @param {Place} place
   * @returns {Promise<fs.FileHandle>} to be closed by the caller
   * @throws {Fault} also when it is a pipe, a device or a folder
   */
  async openFile(place) {
    return this.#inParent(place, {}, (folder, name) => folder.openFile(name))
  }

  /** Opens a folder. The caller closes it. */
  async openFolder(place) {
    try {
      return await descend.descend(place.root, place.segments, { anchored: this.anchored })
    } catch (error) {
      throw changedOr(error, place)
    }
  }

  /**
   * Puts new content in the place of a file, in one step: who reads sees the old or the new. Missing
   * folders are made. A link in that place is replaced, never followed.
   *
   * @param {Place} place  resolved with `write`
   * @param {Buffer} data
   * @param {{expected: Buffer | null, mode?: number}} options  `expected`: what must still be there
   *   (null: nothing), else `TOOL_PATH_CHANGED`; `mode`: permission bits to keep
   */
  async replaceFile(place, data, options) {
    await this.#inParent(place, { create: true }, (folder, name) => folder.replaceFile(name, data, options))
  }

  async #inParent(place, options, work) {
    if (place.segments.length === 0) throw new Fault('TOOL_INVALID_INPUT', `${place.display} is a folder; a file is needed.`)
    let folder
    try {
      folder = await descend.descend(place.root, place.segments.slice(0, -1), { ...options, anchored: this.anchored })
      return await work(folder, place.segments.at(-1))
    } catch (error) {
      throw changedOr(error, place)
    } finally {
      await folder?.close()
    }
  }

  #absolute(input) {
    if (typeof input !== 'string' || input === '') throw new Fault('TOOL_INVALID_INPUT', 'A path is needed.')
    if (input.includes('\0')) throw new Fault('TOOL_INVALID_INPUT', 'The path holds a NUL byte.')
    if (input.length > MAX_PATH) throw new Fault('TOOL_INVALID_INPUT', `The path is longer than ${MAX_PATH} characters.`)
    const home = input === '~' || input.startsWith('~/') ? path.join(os.homedir(), input.slice(1)) : input
    const asked = path.resolve(this.project.lexical, home)
    if (process.platform === 'win32' && NOT_A_PLACE_ON_WINDOWS.test(asked.slice(3))) {
      throw new Fault('TOOL_INVALID_INPUT', `${input} is not the name of a file: streams, devices and short names are refused.`)
    }
    return asked
  }
}

/** Whether `inner` is `outer` or below it. Both absolute and normalised. */
function within(outer, inner) {
  const fold = process.platform === 'win32' ? text => text.toLowerCase() : text => text
  const base = fold(outer.endsWith(path.sep) ? outer : outer + path.sep)
  return fold(inner) === fold(outer) || fold(inner).startsWith(base)
}

async function rootAt(folder, kind) {
  if (typeof folder !== 'string' || !path.isAbsolute(folder)) return undefined
  try {
    const real = await fs.realpath(folder)
    return (await fs.stat(real)).isDirectory() ? { lexical: path.resolve(folder), real, ...kind } : undefined
  } catch {
    return undefined
  }
}

/** The real path of the part that exists, and the names that do not exist yet. */
async function realHead(asked, input) {
  const missing = []
  for (let head = asked; ; head = path.dirname(head)) {
    try {
      return { head: await fs.realpath(head), missing }
    } catch (error) {
      if (error.code !== 'ENOENT' || head === path.dirname(head)) throw fromSystem(error, input)
      // A link that leads to nothing exists itself: what would be made is not where it seems to be.
      if (await fs.lstat(head).catch(() => undefined)) throw outside(input)
      missing.unshift(path.basename(head))
    }
  }
}

/** Says nothing of where a link leads: that is not for the model to know. */
function outside(input) {
  return new Fault('TOOL_OUTSIDE_PROJECT',
    `${input} is not inside the project or a folder added to it (or a symbolic link leads out of it). Use a path inside the project.`)
}

/** A link where `resolve` saw none: somebody put it there meanwhile. */
function changedOr(error, place) {
  if (error?.code === 'ELOOP' || error?.code === 'ENOTDIR') {
    return new Fault('TOOL_PATH_CHANGED', `${place.display} was changed while it was being opened. Try again.`)
  }
  return fromSystem(error, place.display)
}

module.exports = { Jail, within }
