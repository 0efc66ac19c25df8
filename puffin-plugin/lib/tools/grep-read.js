/**
 * Reads files for Grep, one after the other and without going back to the event loop: the thread has
 * nothing else to do, and for many small files waiting costs more than reading.
 */
'use strict'

const fs = require('./fs')
const path = require('node:path')
const { FILE, startsBelow } = require('./descend')

/**
 * @param {import('./descend').Folder} folder  open
 * @param {string} name  of an entry
 * @param {Buffer} scratch  for the content
 * @returns {number | undefined} how many bytes are in `scratch`: all of it when the file is larger; undefined
 *   when it is no regular file or was moved out meanwhile
 * @throws {Error} the system's
 */
function readInto(folder, name, scratch) {
  const file = fs.openSync(folder.at(name), FILE)
  try {
    if (!fs.fstatSync(file).isFile() || !isInside(folder, name, file)) return undefined
    let length = 0
    while (length < scratch.length) {
      const read = fs.readSync(file, scratch, length, Math.min(scratch.length - length, 1 << 18), length)
      if (read === 0) break
      length += read
    }
    return length
  } finally {
    fs.closeSync(file)
  }
}

/** The same as `Folder` makes sure of, see there. */
function isInside(folder, name, file) {
  if (folder.anchored) return startsBelow(folder.root.real, fs.readlinkSync(`/proc/self/fd/${file}`))
  const expected = path.join(folder.path, name)
  if (fs.realpathSync.native(expected) !== expected) return false
  const [held, now] = [fs.fstatSync(file, { bigint: true }), fs.lstatSync(expected, { bigint: true })]
  return held.dev === now.dev && held.ino === now.ino && fs.realpathSync.native(expected) === expected
}

module.exports = { readInto }
