'use strict'

const crypto = require('node:crypto')
const { RemoteError, toAnswer } = require('./errors')

/** Conversations that this plugin began have such ids; of others the daemon knows nothing. */
const PREFIX = 'rllm-'
const KNOWS_MS = 10_000
/** Conversations whose policy is remembered. */
const POLICIES = 500

/**
 * Prompts that run, with the tools that their model calls.
 *
 * @param {object} options
 * @param {{call: Function, notify: Function}} options.sidecar
 * @param {(event: object) => void} options.emit
 * @param {() => boolean} options.isWatched whether a page would show an approval
 * @param {ReturnType<import('./people').createPeople>} options.people
 * @param {{definitions: Function, createTools: Function}|null} options.tools see `tools/index.js`
 * @param {{projectPath: string, dataDir: string, log: object}} options.place
 * @param {ReturnType<import('./unsaved').createUnsaved>} options.unsaved
 *
 * @typedef {object} More what a prompt brings of its own
 * @property {{definition: object, execute: (call: object) => Promise<object>}[]} [tools]
 * @property {(approval: object, signal: AbortSignal) => Promise<string>} [approve] where no page is there
 */
function createPrompts({ sidecar, emit, isWatched, people, tools, place, unsaved }) {
  const running = new Map()
  /** What tools may do in a conversation; for when it goes on in the panel. */
  const policies = new Map()

  /**
   * Runs a prompt to its end.
   *
   * @param {object} params of `remote-llm/stream-prompt`, without tools
   * @param {object} [options]
   * @param {{additionalDirs: object[], codeModificationAllowed: boolean}|null} [options.policy] what its
   *   tools may do; null: it has none
   * @param {More} [options.more]
   * @param {(event: object, chunk: object) => void} [options.onEvent] every event of `stream-chunk`
   * @param {AbortSignal} [options.signal] stops it
   * @returns {Promise<object>} the daemon's result; rejects with a RemoteError
   */
  async function run(params, { policy = null, more = {}, onEvent = () => {}, signal } = {}) {
    const requestId = params.requestId ?? crypto.randomUUID()
    if (running.has(requestId)) throw new RemoteError('INVALID_PARAMS', 'A prompt of this `requestId` is running.')
    const stop = new AbortController()
    const abort = () => stop.abort()
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    const job = {
      requestId, configId: params.configId, conversationId: params.conversationId ?? null, onEvent, stop, more,
      toolbox: null, last: null, afterUntrustedRead: new Map(), kept: false, text: '', usedTools: false
    }
    running.set(requestId, job)
    if (policy && job.conversationId) remember(job.conversationId, policy)
    tell(job, { type: 'status', phase: 'connecting' })
    try {
      const declared = policy && tools ? { tools: openTools(job, policy) } : {}
      const result = await sidecar.call('remote-llm/stream-prompt', { ...params, ...declared, requestId }, { signal: stop.signal })
      settle(job, params, result.stopReason === 'cancelled', null)
      job.last ??= { event: { type: 'finished', result } }
      return result
    } catch (error) {
      settle(job, params, true, error)
      // The daemon says it with an event, unless it is gone or never began.
      job.last ??= { event: { type: 'failed', error: { message: error.message, data: { ...error.data, code: error.code } } } }
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
      running.delete(requestId)
      job.toolbox?.dispose()
      // Only now: a page that hears of the end may ask at once what the conversation is like.
      tell(job, job.last.event, job.last.round)
    }
  }

  const tell = (job, event, round) => emit({ type: 'stream-chunk', streamId: job.requestId, configId: job.configId, conversationId: job.conversationId, ...(round === undefined ? {} : { round }), event })

  function remember(conversationId, policy) {
    policies.delete(conversationId)
    policies.set(conversationId, policy)
    if (policies.size > POLICIES) policies.delete(policies.keys().next().value)
  }

  /**
   * Keeps what the daemon does not: it notes a prompt when that is over, and only if the model said something.
   * What was kept of the conversation's prompt before is in this one, or is not wanted any more.
   */
  function settle({ conversationId, kept, text, usedTools }, { configId, model, messages }, interrupted, error) {
    if (!conversationId || !messages?.length) return
    const lost = interrupted && !kept && (text === '' || error?.code?.startsWith('DAEMON_'))
    if (!lost) {
      if (kept || !interrupted) unsaved.forget(conversationId)
      return
    }
    unsaved.keep({
      conversationId, configId, model: model ?? null, asked: messages, text, usedTools,
      error: error && error.code !== 'CANCELLED' ? toAnswer(error) : null, at: new Date().toISOString()
    })
  }

  const scopeOf = policy => ({ projectPath: place.projectPath, ...policy })
  const definitionsOf = (policy, more) => [...(more.tools ?? []).map(({ definition }) => definition), ...(tools?.definitions(scopeOf(policy)) ?? [])]

  function openTools(job, policy) {
    job.toolbox = tools.createTools({ ...scopeOf(policy), log: place.log, dataDir: place.dataDir, ask: (question, signal) => approve(job, question, signal) })
    return definitionsOf(policy, job.more).map(({ name, description, input_schema: inputSchema, readOnly }) => ({ name, description, inputSchema, ...(readOnly ? { readOnly } : {}) }))
  }

  /** The clock of a call stands still while a person is asked. */
  async function withoutClock(job, toolCallId, asking) {
    const waiting = on => sidecar.notify('remote-llm/tool-waiting', { requestId: job.requestId, toolCallId, waiting: on })
    waiting(true)
    try {
      return await asking()
    } finally {
      waiting(false)
    }
  }

  /** @returns {Promise<'allow-once'|'allow-always'|'deny'|'abort'>} what a person says */
  async function approve(job, { callId, tool, summary, detail, diff, command, pattern }, signal) {
    const over = new AbortController()
    const ends = AbortSignal.any([job.stop.signal, over.signal, ...(signal ? [signal] : [])])
    const approval = {
      // A model chooses its call's name; two calls must not be taken for each other.
      callId: crypto.randomUUID(),
      name: tool,
      where: place.projectPath,
      summary,
      ...(command === undefined ? {} : { command }),
      ...(diff === undefined ? {} : { diff }),
      ...(detail === undefined ? {} : { input: detail }),
      afterUntrustedRead: job.afterUntrustedRead.get(callId) === true,
      canAlways: pattern !== undefined && pattern !== null,
      pattern: pattern ?? null
    }
    try {
      return await withoutClock(job, callId, async () => {
        const asked = [people.approve(approval, ends)]
        if (!isWatched() && job.more.approve) asked.push(job.more.approve(approval, ends))
        const decision = await Promise.race(asked)
        return decision === 'allow' ? 'allow-once' : decision
      })
    } catch {
      return 'deny'
    } finally {
      over.abort()
    }
  }

  /** `host/execute-tool` */
  async function executeTool({ requestId, toolCallId, name, input, afterUntrustedRead }, { signal }) {
    const job = running.get(requestId)
    if (!job?.toolbox) throw new RemoteError('TOOL_NOT_FOUND', `This prompt has no tool ${name}.`)
    const own = job.more.tools?.find(({ definition }) => definition.name === name)
    if (own) return withoutClock(job, toolCallId, () => own.execute({ input, signal }))
    job.afterUntrustedRead.set(toolCallId, afterUntrustedRead)
    try {
      return await job.toolbox.execute({ callId: toolCallId, name, input, signal, afterUntrustedRead })
    } finally {
      job.afterUntrustedRead.delete(toolCallId)
    }
  }

  /** `remote-llm/stream-chunk` */
  function chunk({ requestId, round, event }) {
    const job = running.get(requestId)
    if (!job) return
    if (event.type === 'started') job.conversationId = event.conversationId
    if (event.type === 'text-delta') job.text += event.text
    if (event.type === 'tool-call-ready') job.usedTools = true
    if (event.type === 'finished' || event.type === 'failed') job.last = { event, round }
    else tell(job, event, round)
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
    isRunning: requestId => running.has(requestId),
    streams: () => [...running.values()].map(({ requestId, configId, conversationId }) => ({ streamId: requestId, configId, conversationId })),
    /** `remote-llm/conversation-updated`: the daemon has kept what a prompt brought. */
    updated({ conversationId }) {
      for (const job of running.values()) if (job.conversationId === conversationId) job.kept = true
    },
    /** @returns {object|undefined} what tools might do when it was asked last, in this session of Puffin */
    policyOf: conversationId => policies.get(conversationId),
    toolNames: (policy, more) => (tools ? definitionsOf(policy, more).map(({ name }) => name) : []),
    isOurs,
    newConversationId: () => `${PREFIX}${crypto.randomUUID()}`,

    /**
     * @returns {Promise<boolean>} whether it is a conversation of ours, and the daemon still has it. Where
     *   that can't be found out, yes: the prompt then says what is wrong
     */
    async knows(conversationId, signal) {
      if (!isOurs(conversationId)) return false
      try {
        await sidecar.call('remote-llm/get-conversation', { conversationId, limit: 1 }, { timeoutMs: KNOWS_MS, signal })
        return true
      } catch (error) {
        return error.code !== 'CONFIG_NOT_FOUND'
      }
    }
  }
}

/** @returns {boolean} whether a conversation of this id was begun by this plugin */
function isOurs(conversationId) {
  return typeof conversationId === 'string' && conversationId.startsWith(PREFIX)
}

module.exports = { createPrompts }
