/** Keeps exchanging the folder `swapped` of the project for a link of that name to the folder outside. */
'use strict'

const fs = require('node:fs')
const path = require('node:path')

/** A tool that writes may have made a folder in the gap, and may do so again. */
function move(from, to) {
  for (let tries = 0; ; tries++) {
    try {
      return fs.renameSync(from, to)
    } catch (error) {
      if (tries > 1000) throw error
      try {
        fs.rmSync(to, { recursive: true, force: true })
      } catch {}
    }
  }
}

const [, , project, outside] = process.argv
if (project) {
  const [swapped, folder, link] = ['swapped', 'folder', 'link'].map(name => path.join(project, name))
  fs.symlinkSync(outside, link)
  fs.mkdirSync(swapped)
  fs.writeFileSync(path.join(swapped, 'a.txt'), 'inside')
  process.stdin.on('close', () => process.exit()).resume()
  const swap = () => {
    for (let turn = 0; turn < 200; turn++) {
      move(swapped, folder)
      move(link, swapped)
      move(swapped, link)
      move(folder, swapped)
    }
    setImmediate(swap)
  }
  swap()
  process.stdout.write('ready\n')
}
