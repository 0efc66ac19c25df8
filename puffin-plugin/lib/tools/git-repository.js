/**
 * Whether the repository that git finds is the project's own. A folder from elsewhere can hold a `.git` that
 * points to another repository of the user, whose history would then be shown to the model.
 */
'use strict'

const fs = require('./fs').promises
const path = require('node:path')
const { within } = require('./jail')

/**
 * @param {{top: string, gitDir: string, commonDir: string}} found  as git says, absolute
 * @returns {Promise<boolean>} true for a repository inside its working tree, and for one outside that itself
 *   names this working tree: a linked worktree or a submodule
 */
async function isOwn({ top, gitDir, commonDir }) {
  try {
    const [realTop, realGit, realCommon] = await Promise.all([top, gitDir, commonDir].map(one => fs.realpath(one)))
    if (await hasLinks(realGit) || await hasLinks(realCommon)) return false
    if (within(realTop, realGit)) return within(realTop, realCommon)
    return await isLinkedWorktree(realTop, realGit, realCommon) || (realGit === realCommon && await isSubmodule(realTop, realGit))
  } catch {
    return false
  }
}

async function hasLinks(gitDir) {
  const parts = await Promise.all(['HEAD', 'refs', 'objects', 'packed-refs', 'logs', 'index', 'commondir'].map(
    name => fs.lstat(path.join(gitDir, name)).catch(() => undefined)))
  return parts.some(info => info?.isSymbolicLink())
}

async function isLinkedWorktree(top, gitDir, commonDir) {
  const back = (await fs.readFile(path.join(gitDir, 'gitdir'), 'utf8').catch(() => '')).trim()
  return back !== '' && within(commonDir, gitDir) && await fs.realpath(path.dirname(path.resolve(gitDir, back))) === top
}

async function isSubmodule(top, gitDir) {
  const config = await fs.readFile(path.join(gitDir, 'config'), 'utf8')
  const worktree = /^\s*worktree\s*=\s*"?([^"\n]*?)"?\s*$/m.exec(config)?.[1]
  return worktree !== undefined && await fs.realpath(path.resolve(gitDir, worktree)) === top
}

module.exports = { isOwn }
