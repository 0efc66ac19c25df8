'use strict'

const { RemoteError } = require('./errors')
const { createTranscript } = require('./transcript')

const WRAPPED = ['submit', 'cancel', 'sendAnswer', 'isProcessRunning']

/** Told to every model; the same bytes each time, so that prompt caches hit. */
const SYSTEM = `You are an assistant for software development inside the application Puffin. You work on the user's \
project with the tools you are given; paths are absolute or relative to the project's folder. Read a file before you \
change it. A call that is denied was denied by the user: do not try it in another way, say what you need instead. \
When the work is done, say in a few sentences what you did.`

/** Words by which Puffin opens its sign-in window for Claude. */
const SIGN_IN = /authentication_error|oauth token|token.*expired|failed to authenticate|not logged in|please run \/login/i
/** One of them is in each of those phrases. */
const THEIR_WORDS = /authentication_error|token|authenticate|logged|\/login/gi
/** Splits a word for a program, and not for a person. */
const WORD_JOINER = '\u2060'
const SHORT = 300

/** @returns {{configId: string, modelId: string}|null} of a value of the model picker; a model's id may hold `:` */
function parsePicked(value) {
  const parts = /^remote-llm:([^:]+):(.+)$/s.exec(typeof value === 'string' ? value : '')
  return parts ? { configId: parts[1], modelId: parts[2] } : null
}

/**
 * Puts remote models behind Puffin's prompt box: prompts whose model is `remote-llm:<server>:<model>` go
 * to it, all others to Claude as before.
 *
 * @param {object} options
 * @param {object} options.service Puffin's `claudeService`; its methods are on its prototype
 * @param {ReturnType<import('./prompts').createPrompts>} options.prompts
 * @param {() => string} options.picked what the model picker holds
 * @param {{warn: Function}} options.log
 * @returns {{restore: () => void}|null} null: this Puffin has no such service
 */
function wrapClaudeService({ service, prompts, picked, log }) {
  if (typeof service?.submit !== 'function') return null
  const original = Object.fromEntries(WRAPPED.map(name => [name, service[name]]))
  const own = new Map(WRAPPED.filter(name => Object.hasOwn(service, name)).map(name => [name, service[name]]))
  let current = null

  /** A large thinking budget makes Puffin ask for `opus`, whatever is picked. */
  const routeOf = data => parsePicked(data?.model) ?? (data?.model === 'opus' ? parsePicked(picked()) : null)

  service.submit = async function submit(data, ...callbacks) {
    const route = routeOf(data)
    if (!route) return original.submit.call(this, data, ...callbacks)
    if (this.isProcessRunning()) throw new Error('A prompt is already running. Wait for it, or stop it first.')
    const job = { stop: new AbortController() }
    current = job
    try {
      return await submitRemote(this, route, data, callbacks, job)
    } finally {
      if (current === job) current = null
    }
  }

  service.cancel = function cancel(...args) {
    // The original would release its lock with nothing of its own running.
    if (!current) return original.cancel?.apply(this, args)
    current.stop.abort()
    return undefined
  }

  service.sendAnswer = function sendAnswer(...args) {
    // Remote prompts ask in their own panel.
    return current ? false : original.sendAnswer?.apply(this, args)
  }

  service.isProcessRunning = function isProcessRunning(...args) {
    return current !== null || (original.isProcessRunning?.apply(this, args) ?? false)
  }

  async function submitRemote(self, { configId, modelId }, data, [onChunk, onComplete, onRaw, onFullPrompt], job) {
    const began = Date.now()
    const goesOn = prompts.isOurs(data.sessionId)
    const sessionId = goesOn ? data.sessionId : prompts.newConversationId()
    // Without a session of ours the model knows nothing of the project yet.
    const text = typeof self.buildPrompt === 'function' ? await self.buildPrompt({ ...data, sessionId: goesOn ? sessionId : null }) : data.prompt
    onFullPrompt?.(text)
    const transcript = createTranscript({ onChunk: piece => onChunk?.(piece), onRaw: line => onRaw?.(line) })
    transcript.begin({ sessionId, model: modelId, tools: [] })
    const params = {
      configId,
      conversationId: sessionId,
      model: modelId,
      system: SYSTEM,
      messages: [{ role: 'user', content: text }],
      ...(Number.isInteger(data.maxTurns) && data.maxTurns > 0 ? { limits: { maxRounds: Math.min(data.maxTurns, 500) } } : {})
    }
    const policy = { additionalDirs: data.additionalDirs ?? [], codeModificationAllowed: data.codeModificationAllowed !== false }
    const finish = ({ content, rounds = 1, usage, isError = false, cancelled = false }) => {
      const said = forPuffin(content)
      transcript.end({ sessionId, rounds, durationMs: Date.now() - began, result: said, usage, isError })
      const response = { content: said, sessionId, cost: 0, turns: rounds, duration: Date.now() - began, exitCode: isError ? 1 : 0, cancelled }
      onComplete?.(response)
      return response
    }
    try {
      const result = await prompts.run(params, { policy, signal: job.stop.signal, onEvent: transcript.event })
      const note = noteOf(result)
      if (note) transcript.say(note)
      return finish({ content: (textOf(result.message) || transcript.shown) + note, rounds: result.rounds, usage: result.usage, cancelled: result.stopReason === 'cancelled' })
    } catch (error) {
      if (job.stop.signal.aborted) return finish({ content: transcript.shown, cancelled: true })
      const sentence = [error.message, error.data?.hint].filter(Boolean).join(' ')
      log.warn(`a prompt to ${configId} failed: ${error.code ?? 'PLUGIN_DEFECT'}`)
      // Puffin throws away what was shown when a prompt is rejected.
      if (transcript.shown === '') throw new RemoteError(error.code ?? 'PLUGIN_DEFECT', disarm(sentence), error.data)
      const note = `\n\n**The answer was interrupted.** ${sentence}`
      transcript.say(note)
      return finish({ content: transcript.shown, isError: true })
    }
  }

  return {
    /** Leaves the service as it was; a prompt that runs is stopped. */
    restore() {
      current?.stop.abort()
      for (const name of WRAPPED) {
        if (own.has(name)) service[name] = own.get(name)
        else delete service[name]
      }
    }
  }
}

function textOf(message) {
  const content = message?.content ?? []
  if (typeof content === 'string') return content
  return content.filter(({ type }) => type === 'text').map(({ text }) => text).join('')
}

/** What a person should know of an answer that did not end by itself. */
function noteOf({ stopReason }) {
  if (stopReason === 'max_tokens') return '\n\n*The answer was cut off: the model reached its limit of tokens.*'
  if (stopReason === 'limit') return '\n\n*The prompt was stopped: it reached its limit of rounds or tool calls.*'
  return ''
}

/** Never empty and never words that mean something else to Puffin. */
function forPuffin(content) {
  if (content.trim() === '') return '(The model said nothing.)'
  return content.length < SHORT || content.trim() === 'Prompt is too long' ? disarm(content) : content
}

function disarm(text) {
  const safe = SIGN_IN.test(text) ? text.replace(THEIR_WORDS, word => word[0] + WORD_JOINER + word.slice(1)) : text
  return safe.trim() === 'Prompt is too long' ? `${safe}.` : safe
}

module.exports = { wrapClaudeService, parsePicked }
