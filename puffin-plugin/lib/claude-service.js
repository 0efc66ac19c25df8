'use strict'

const { RemoteError } = require('./errors')
const { apart } = require('./person')
const { createQuestionWindow } = require('./question-window')
const { SYSTEM } = require('./system')
const { createTranscript } = require('./transcript')
const { createWrap } = require('./wrap')
const { forPuffin, disarm, sentencesOf, noteOf, textOf } = require('./wording')

/** Methods that ask Claude whatever is picked, and the place of the model among what they are passed. */
const CLAUDES_OWN = { deriveStories: 5, generateInspectionAssertions: 4 }
/** The daemon's own upper limit. */
const MOST_ROUNDS = 500
/** Where Puffin’s own view has no button for it. */
const KEPT = 'What was said is kept: it can be continued, or asked for again, in the Remote LLM view under History.'

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
  const { wrap, restore } = createWrap(service)
  const questions = createQuestionWindow()
  let current = null

  let restored = false

  /** A large thinking budget makes Puffin ask for `opus`, whatever is picked. */
  function routeOf(data) {
    if (restored) return null
    return parsePicked(data?.model) ?? (data?.model === 'opus' ? parsePicked(picked()) : null)
  }

  wrap('submit', original => async function submit(data, ...callbacks) {
    const route = routeOf(data)
    if (!route) return original.call(this, data, ...callbacks)
    if (this.isProcessRunning?.() || current) throw new RemoteError('HOST_BUSY', 'A prompt is already running. Wait for it, or stop it first.')
    const stop = new AbortController()
    current = stop
    try {
      return await submitRemote(this, route, data, callbacks, stop.signal)
    } finally {
      if (current === stop) current = null
    }
  })

  wrap('cancel', original => function cancel(...args) {
    // The original would release its lock with nothing of its own running.
    if (!current) return original.apply(this, args)
    current.abort()
    return undefined
  })

  wrap('sendAnswer', original => function sendAnswer(toolUseId, ...rest) {
    return questions.answer(toolUseId, ...rest) || original.call(this, toolUseId, ...rest)
  })

  wrap('isProcessRunning', original => function isProcessRunning(...args) {
    return current !== null || original.apply(this, args)
  })

  // Puffin passes on what is picked there, too; to Claude's program it would be no model at all.
  for (const [name, place] of Object.entries(CLAUDES_OWN)) {
    wrap(name, original => function (...args) {
      return original.apply(this, args.map((value, n) => (n === place && parsePicked(value) ? null : value)))
    })
  }

  wrap('sendPrompt', original => async function sendPrompt(prompt, options = {}, ...rest) {
    if (!restored && prompts.isOurs(options?.sessionId)) {
      return { success: false, error: 'This thread is with a remote model, and Claude does not know what was said in it. Ask in the thread itself.' }
    }
    const known = parsePicked(options?.model) ? { ...options, model: null } : options
    return original.call(this, prompt, known, ...rest)
  })

  async function submitRemote(self, { configId, modelId }, data, [onChunk, onComplete, onRaw, onFullPrompt, onQuestion], signal) {
    const began = Date.now()
    const goesOn = await prompts.knows(data.sessionId, signal)
    const sessionId = goesOn ? data.sessionId : prompts.newConversationId()
    // Without a session that the daemon has, the model knows nothing of the project yet.
    const text = typeof self.buildPrompt === 'function' ? await self.buildPrompt({ ...data, sessionId: goesOn ? sessionId : null }) : data.prompt
    onFullPrompt?.(text)
    const { additionalDirs, disallowedTools } = data
    const policy = { additionalDirs: additionalDirs ?? [], codeModificationAllowed: data.codeModificationAllowed !== false, ...(disallowedTools && { disallowedTools }) }
    const more = onQuestion ? { tools: [questions.tool(onQuestion)], approve: questions.approver(onQuestion) } : {}
    const transcript = createTranscript({ onChunk: piece => onChunk?.(piece), onRaw: line => onRaw?.(line) })
    transcript.begin({ sessionId, model: modelId, tools: prompts.toolNames(policy, more) })
    const params = {
      configId,
      conversationId: sessionId,
      model: modelId,
      system: SYSTEM,
      messages: [{ role: 'user', content: apart(text, data.prompt) }],
      ...(Number.isInteger(data.maxTurns) && data.maxTurns > 0 ? { limits: { maxRounds: Math.min(data.maxTurns, MOST_ROUNDS) } } : {})
    }
    const outcome = await prompts.run(params, { policy, more, signal, onEvent: transcript.event })
      .then(result => ended(result, transcript), error => failed(error, transcript, signal, configId))
    const duration = Date.now() - began
    const { rounds = 1, usage, isError = false, cancelled = false } = outcome
    const content = forPuffin(outcome.content)
    transcript.end({ sessionId, rounds, durationMs: duration, result: content, usage, isError })
    const response = { content, sessionId, cost: 0, turns: rounds, duration, exitCode: isError ? 1 : 0, cancelled }
    onComplete?.(response)
    return response
  }

  /** @throws {RemoteError} when nothing was shown yet: Puffin throws away what was, when a prompt is rejected */
  function failed(error, transcript, signal, configId) {
    // Stopped in Puffin, in the panel, or by who was asked about a tool.
    if (signal.aborted || error.code === 'CANCELLED') return { content: transcript.shown, cancelled: true }
    const code = error.code ?? 'PLUGIN_DEFECT'
    log.warn(`a prompt to ${configId} failed: ${code}`)
    if (transcript.shown === '') throw new RemoteError(code, disarm(sentencesOf(error)), error.data)
    transcript.say(`\n\n**The answer was interrupted.** ${disarm(sentencesOf(error))} ${KEPT}`)
    return { content: transcript.shown, isError: true }
  }

  return {
    /** Leaves the service as it was; a prompt that runs is stopped. */
    restore() {
      restored = true
      current?.abort()
      restore()
    }
  }
}

function ended(result, transcript) {
  const note = noteOf(result)
  if (note) transcript.say(note)
  const content = (textOf(result.message) || transcript.shown.slice(0, transcript.shown.length - note.length)) + note
  return { content, rounds: result.rounds, usage: result.usage, cancelled: result.stopReason === 'cancelled' }
}

module.exports = { wrapClaudeService, parsePicked }
