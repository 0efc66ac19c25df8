/** Where a program is: on the PATH, and never in the folder that is worked on. */
'use strict'

const fs = require('./fs').promises
const { constants } = require('./fs')
const path = require('node:path')

/**
 * Windows looks into the current folder first, and a PATH may hold `.`: a project that ships a `git` of its
 * own must not have it run.
 *
 * @param {string} name  without an ending
 * @param {import('./jail').Jail} jail
 * @param {{env?: object, first?: string[]}} [options]  `first`: full paths to try before
 * @returns {Promise<string | undefined>} its full path
 */
async function findProgram(name, jail, { env = process.env, first = [] } = {}) {
  const file = process.platform === 'win32' ? `${name}.exe` : name
  const onPath = (env.PATH ?? env.Path ?? '').split(path.delimiter).filter(path.isAbsolute).map(folder => path.join(folder, file))
  for (const candidate of [...first, ...onPath]) {
    try {
      const real = await fs.realpath(candidate)
      await fs.access(real, constants.X_OK)
      if ((await fs.stat(real)).isFile() && !jail.innermost(real) && !jail.innermost(candidate)) return candidate
    } catch {} // not this one
  }
  return undefined
}

module.exports = { findProgram }
