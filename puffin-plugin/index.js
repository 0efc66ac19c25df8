'use strict'

/**
 * The main half of the Remote LLM plugin: it composes, and keeps nothing at module level, because
 * Puffin may load it again. What a page can ask for is in IPC.md.
 */

const { findBinary } = require('./lib/binary')
const { createEvents } = require('./lib/events')
const { createHello } = require('./lib/hello')
const { listIdentities } = require('./lib/identities')
const { createHandlers } = require('./lib/ipc')
const { createPeople } = require('./lib/people')
const { createPrompts } = require('./lib/prompts')
const { createSidecar } = require('./lib/sidecar')
const { createUnsaved } = require('./lib/unsaved')
const { wrapClaudeService } = require('./lib/claude-service')
const { RemoteError, toAnswer } = require('./lib/errors')
const { version } = require('./package.json')

const CHANNEL = 'remote-llm:'

/** @param {object} context Puffin's; see its plugin loader */
async function activate(context) {
  const { log, projectPath, storageDir, pluginDir } = context
  const events = createEvents()
  let picked = ''
  let handlers
  const people = createPeople({ emit: events.emit, isTesting: () => handlers.isTesting() })

  const sidecar = createSidecar({
    findBinary: () => findBinary({ pluginDir }),
    hello: createHello({ safeStorage: electron()?.safeStorage, projectPath, storageDir, version, log, onLateKey: unlock }),
    log,
    onNotification: (method, params) => notifications[method]?.(params),
    onRequest: async (method, params, call) => {
      const answer = requests[method]
      if (!answer) throw new RemoteError('METHOD_NOT_FOUND', `This host has no ${method}.`)
      return answer(params, call)
    },
    onPhase: ({ phase, error, vault, isNew }) => {
      // What a page knows of the connections was true of the daemon before.
      if (isNew) events.restart()
      events.emit({ type: 'daemon', daemon: { phase, error: error ? toAnswer(error) : null, vault } })
    }
  })
  const place = { projectPath, dataDir: storageDir, log }
  const unsaved = createUnsaved()
  const prompts = createPrompts({ sidecar, emit: events.emit, isWatched: () => events.watched, people, tools: loadTools(log), place, unsaved })

  const requests = {
    'host/execute-tool': prompts.executeTool,
    'host/verify-host-key': (params, { signal }) => people.verifyHostKey(params, signal),
    'host/answer-prompt': (params, { signal }) => people.answerPrompt(params, signal)
  }
  const notifications = {
    'remote-llm/stream-chunk': prompts.chunk,
    'remote-llm/connection-status': status => events.emit({ type: 'connection-status', status }),
    'remote-llm/config-changed': change => events.emit({ type: 'config-changed', ...change }),
    'remote-llm/conversation-updated': update => {
      prompts.updated(update)
      events.emit({ type: 'conversation-updated', ...update })
    },
    'remote-llm/test-stage': ({ requestId, stage }) => events.emit({ type: 'test-stage', testId: requestId, stage })
  }

  async function unlock(key) {
    try {
      sidecar.noteVault(await sidecar.call('remote-llm/vault-unlock', { key }, { timeoutMs: 10_000 }))
    } catch (error) {
      log.warn(`The vault stays locked. ${error.message}`)
    }
  }

  handlers = createHandlers({ sidecar, events, people, prompts, unsaved, listIdentities, onPicked: value => { picked = value }, log })
  for (const [name, handler] of Object.entries(handlers.handlers)) context.registerIpcHandler(`${CHANNEL}${name}`, handler)

  // From here on nothing fails: a plugin that did not start must not stand before Puffin's prompt box.
  const unwatch = watchPower(() => sidecar.notify('remote-llm/system-resumed', {}))
  const door = wrapClaudeService({ service: context.getService?.('claudeService'), prompts, picked: () => picked, log })
  if (!door) log.warn('This Puffin has no claudeService; remote models are not in its prompt box.')

  this.deactivate = async () => {
    unwatch()
    door?.restore()
    events.close()
    await sidecar.stop()
  }
  // Puffin waits for this function before it shows the project.
  sidecar.start()
}

/** A computer that wakes up does not know which of its connections have survived. @returns {() => void} */
function watchPower(resumed) {
  const monitor = electron()?.powerMonitor
  if (typeof monitor?.on !== 'function') return () => {}
  monitor.on('resume', resumed)
  return () => monitor.off('resume', resumed)
}

/** Outside Electron the name stands for a path, or for nothing. */
function electron() {
  try {
    const module = require('electron')
    return typeof module === 'object' ? module : null
  } catch {
    return null
  }
}

function loadTools(log) {
  try {
    return require('./lib/tools')
  } catch (error) {
    log.error(`The local tools could not be loaded; models have none. ${error.message}`)
    return null
  }
}

module.exports = {
  activate,
  /** Replaced by `activate`; before that there is nothing to end. */
  async deactivate() {}
}
