/** A file as it is before a change. */
'use strict'

const { readAtMost } = require('./descend')
const { Fault } = require('./fault')

const MAX_SIZE = 16 * 1024 * 1024

/**
 * @param {import('./jail').Jail} jail
 * @param {import('./jail').Place} place
 * @returns {Promise<{bytes: Buffer, mode: number} | undefined>} undefined when there is none; `mode`: permission bits
 * @throws {Fault} when it is no regular file, or too large to be changed with a diff
 */
async function currentContent(jail, place) {
  if (!place.exists) return undefined
  const handle = await jail.openFile(place)
  try {
    const { size, mode } = await handle.stat()
    const bytes = size > MAX_SIZE ? undefined : await readAtMost(handle, MAX_SIZE + 1)
    if (!bytes || bytes.length > MAX_SIZE) {
      throw new Fault('TOOL_INVALID_INPUT', `${place.display} is larger than ${MAX_SIZE} bytes: change it with a command.`)
    }
    return { bytes, mode: mode & 0o777 }
  } finally {
    await handle.close()
  }
}

module.exports = { currentContent }
