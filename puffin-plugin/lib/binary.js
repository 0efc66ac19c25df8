'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { RemoteError } = require('./errors')

/**
 * The daemon's program: `REMOTE_LLM_BIN` where that is set, else the one for this platform that lies in
 * the plugin.
 *
 * @param {{pluginDir: string, env?: object, platform?: string, arch?: string}} options
 * @returns {string} its path
 * @throws {RemoteError} DAEMON_MISSING
 */
function findBinary({ pluginDir, env = process.env, platform = process.platform, arch = process.arch }) {
  const named = env.REMOTE_LLM_BIN
  const name = platform === 'win32' ? 'puffin-remote-llm.exe' : 'puffin-remote-llm'
  const file = named || path.join(pluginDir, 'bin', `${platform}-${arch}`, name)
  if (!fs.existsSync(file)) {
    throw new RemoteError('DAEMON_MISSING', named
      ? `REMOTE_LLM_BIN names ${file}, and there is no such file.`
      : `The plugin has no program for ${platform}-${arch}. Install the plugin that was packed for this computer.`)
  }
  makeExecutable(file, platform)
  return file
}

/** Archives lose the bit; a read-only place has it, or the start says that it has not. */
function makeExecutable(file, platform) {
  if (platform === 'win32') return
  try {
    const { mode } = fs.statSync(file)
    if ((mode & 0o111) === 0) fs.chmodSync(file, 0o755)
  } catch {
    // Told by the start.
  }
}

module.exports = { findBinary }
