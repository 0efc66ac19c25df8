'use strict'

const crypto = require('node:crypto')
const { RemoteError } = require('./errors')

/** Conversations that this plugin began have such ids; of others the daemon knows nothing. */
const PREFIX = 'rllm-'

/**
 * Prompts that run, with the tools that their model calls.
 *
 * @param {object} options
 * @param {{call: Function, notify: Function}} options.sidecar
 * @param {(event: object) => void} options.emit
 * @param {ReturnType<import('./people').createPeople>} options.people
 * @param {{definitions: Function, createTools: Function}|null} options.tools see `tools/index.js`
 * @param {{projectPath: string, dataDir: string, log: object}} options.place
 */
function createPrompts({ sidecar, emit, people, tools, place }) {
  const running = new Map()

  /**
   * Runs a prompt to its end.
   *
   * @param {object} params of `remote-llm/stream-prompt`, without tools
   * @param {object} [options]
   * @param {{additionalDirs: object[], codeModificationAllowed: boolean}|null} [options.policy] what its
   *   tools may do; null: it has none
   * @param {(event: object, chunk: object) => void} [options.onEvent] every event of `stream-chunk`
   * @param {AbortSignal} [options.signal] stops it
   * @returns {Promise<object>} the daemon's result; rejects with a RemoteError
   */
  async function run(params, { policy = null, onEvent = () => {}, signal } = {}) {
    const requestId = params.requestId ?? crypto.randomUUID()
    if (running.has(requestId)) throw new RemoteError('INVALID_PARAMS', 'A prompt of this `requestId` is running.')
    const stop = new AbortController()
    const abort = () => stop.abort()
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    const job = { requestId, configId: params.configId, onEvent, stop, toolbox: null, afterUntrustedRead: new Map() }
    running.set(requestId, job)
    emit({ type: 'stream-chunk', streamId: requestId, configId: params.configId, event: { type: 'status', phase: 'connecting' } })
    let ended = false
    job.onEnd = () => { ended = true }
    try {
      const declared = policy && tools ? openTools(job, policy) : {}
      return await sidecar.call('remote-llm/stream-prompt', { ...params, ...declared, requestId }, { signal: stop.signal })
    } catch (error) {
      // The daemon says it with an event, unless it is gone or never began.
      if (!ended) emit({ type: 'stream-chunk', streamId: requestId, configId: params.configId, event: { type: 'failed', error: { message: error.message, data: { code: error.code } } } })
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
      running.delete(requestId)
      job.toolbox?.dispose()
    }
  }

  function openTools(job, policy) {
    const scope = { projectPath: place.projectPath, ...policy }
    job.toolbox = tools.createTools({ ...scope, log: place.log, dataDir: place.dataDir, ask: question => approve(job, question) })
    return {
      tools: tools.definitions(scope).map(({ name, description, input_schema: inputSchema, readOnly }) => ({ name, description, inputSchema, ...(readOnly ? { readOnly } : {}) }))
    }
  }

  /** Asks a person; the clock of the call stands still meanwhile. */
  async function approve(job, { callId, tool, summary, detail, diff, command, pattern }) {
    const waiting = on => sidecar.notify('remote-llm/tool-waiting', { requestId: job.requestId, toolCallId: callId, waiting: on })
    waiting(true)
    try {
      const decision = await people.approve({
        callId,
        name: tool,
        where: place.projectPath,
        summary,
        ...(command === undefined ? {} : { command }),
        ...(diff === undefined ? {} : { diff }),
        ...(detail === undefined ? {} : { input: detail }),
        afterUntrustedRead: job.afterUntrustedRead.get(callId) === true,
        canAlways: pattern !== undefined && pattern !== null,
        pattern: pattern ?? null
      }, job.stop.signal)
      if (decision === 'abort') job.stop.abort()
      return { allow: 'allow-once', 'allow-always': 'allow-always' }[decision] ?? 'deny'
    } catch {
      return 'deny'
    } finally {
      waiting(false)
    }
  }

  /** `host/execute-tool` */
  async function executeTool({ requestId, toolCallId, name, input, afterUntrustedRead }, { signal }) {
    const job = running.get(requestId)
    if (!job?.toolbox) throw new RemoteError('TOOL_NOT_FOUND', `This prompt has no tool ${name}.`)
    job.afterUntrustedRead.set(toolCallId, afterUntrustedRead)
    try {
      return await job.toolbox.execute({ callId: toolCallId, name, input, signal })
    } finally {
      job.afterUntrustedRead.delete(toolCallId)
    }
  }

  /** `remote-llm/stream-chunk` */
  function chunk({ requestId, round, event }) {
    const job = running.get(requestId)
    if (!job) return
    if (event.type === 'finished' || event.type === 'failed') job.onEnd()
    emit({ type: 'stream-chunk', streamId: requestId, configId: job.configId, round, event })
    job.onEvent(event, { round })
  }

  return {
    run,
    executeTool,
    chunk,
    /** @returns {boolean} whether there was such a prompt */
    cancel(requestId) {
      const job = running.get(requestId)
      job?.stop.abort()
      return job !== undefined
    },
    streams: () => [...running.values()].map(({ requestId, configId }) => ({ streamId: requestId, configId })),
    newConversationId: () => `${PREFIX}${crypto.randomUUID()}`,
    isOurs: conversationId => typeof conversationId === 'string' && conversationId.startsWith(PREFIX)
  }
}

module.exports = { createPrompts }
