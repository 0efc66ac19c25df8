'use strict'

const { loadVaultKey } = require('./vault-key')

/** A key ring may ask its owner to unlock it; the daemon does not wait for that. */
const KEY_MS = 5_000

/**
 * What the daemon is told first: the project, where to keep things, and what opens its vault.
 *
 * @param {object} options
 * @param {object|undefined} options.safeStorage Electron's
 * @param {string|null} options.projectPath
 * @param {string} options.storageDir
 * @param {string} options.version of this plugin
 * @param {{warn: Function}} options.log
 * @param {(key: string) => void} options.onLateKey the key came when the daemon was started already
 * @param {number} [options.keyMs] how long the key is waited for
 * @returns {() => Promise<object>} params of `initialize`, anew for each start; resolves within `keyMs`
 */
function createHello({ safeStorage, projectPath, storageDir, version, log, onLateKey, keyMs = KEY_MS }) {
  let told = ''
  const tell = reason => {
    if (reason !== told) log.warn(`Passwords and keys are kept only until Puffin ends. ${reason}`)
    told = reason
  }

  async function vaultKey() {
    let timer
    const late = new Promise(resolve => { timer = setTimeout(resolve, keyMs, null) })
    const loading = loadVaultKey({ safeStorage, storageDir })
    const found = await Promise.race([loading, late])
    clearTimeout(timer)
    if (found === null) {
      tell('The system’s key store has not answered yet.')
      loading.then(({ key }) => key && onLateKey(key))
      return null
    }
    if (found.reason) tell(found.reason)
    return found.key
  }

  return async function hello() {
    const key = await vaultKey()
    return {
      protocolVersion: 1,
      client: { name: 'puffin', version },
      ...(projectPath ? { projectDir: projectPath } : {}),
      dataDir: storageDir,
      ...(key ? { vault: { key } } : {}),
      capabilities: { executeTool: true, verifyHostKey: true, answerPrompt: true }
    }
  }
}

module.exports = { createHello }
