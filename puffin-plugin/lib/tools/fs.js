/**
 * The file system as it is. Electron's own `fs` takes a file that ends in `.asar` for a folder, with a
 * content that the file itself decides on.
 */
'use strict'

function load() {
  try {
    return process.versions.electron ? require('original-fs') : require('node:fs')
  } catch {
    return require('node:fs')
  }
}

module.exports = load()
