'use strict'

const crypto = require('node:crypto')
const { RemoteError } = require('./errors')

/** The daemon gives up earlier; this is for a daemon that forgets. */
const APPROVAL_MS = 10 * 60_000

/**
 * What waits for a person: host keys, passwords and codes, and tools that want to run. Each is told to
 * the page as an event, and answered once; one that nobody wants answered any more is taken back.
 *
 * @param {{emit: (event: object) => void, isTesting?: () => boolean}} options
 */
function createPeople({ emit, isTesting = () => false }) {
  const questions = new Map()
  const approvals = new Map()

  /** Puts something on a list until it is decided, taken back or too late. */
  function wait(list, id, shown, { signal, open, closed, timeoutMs }) {
    return new Promise((resolve, reject) => {
      let timer
      const finish = (settle, value) => {
        if (!list.delete(id)) return
        clearTimeout(timer)
        signal?.removeEventListener('abort', withdraw)
        emit(closed)
        settle(value)
      }
      const withdraw = () => finish(reject, new RemoteError('CANCELLED', 'It was taken back.'))
      list.set(id, { shown, decide: value => finish(resolve, value) })
      if (timeoutMs) timer = setTimeout(withdraw, timeoutMs)
      signal?.addEventListener('abort', withdraw, { once: true })
      if (signal?.aborted) withdraw()
      else emit(open)
    })
  }

  /** @param {string} kind `host-key`, or a kind of `host/answer-prompt` */
  function ask(kind, params, signal) {
    const questionId = crypto.randomUUID()
    const question = { ...params, kind, questionId, origin: isTesting() ? 'test' : 'connect' }
    return wait(questions, questionId, question, {
      signal,
      open: { type: 'question', question },
      closed: { type: 'question-closed', questionId }
    })
  }

  return {
    verifyHostKey: (params, signal) => ask('host-key', params, signal),
    answerPrompt: (params, signal) => ask(params.kind, params, signal),

    /** @returns {Promise<'allow'|'allow-always'|'deny'|'abort'>} */
    approve(approval, signal) {
      return wait(approvals, approval.callId, approval, {
        signal,
        timeoutMs: APPROVAL_MS,
        open: { type: 'approval', approval },
        closed: { type: 'approval-closed', callId: approval.callId }
      })
    },

    /** @throws {RemoteError} PLUGIN_QUESTION_GONE: answered elsewhere, or too late */
    answer({ questionId, ...said }) {
      decide(questions, questionId, checked(questions.get(questionId)?.shown.kind, said))
    },
    decide({ callId, decision }) {
      if (!['allow', 'allow-always', 'deny', 'abort'].includes(decision)) throw new RemoteError('INVALID_PARAMS', '`decision` is allow, allow-always, deny or abort.')
      decide(approvals, callId, decision)
    },

    questions: () => [...questions.values()].map(({ shown }) => shown),
    approvals: () => [...approvals.values()].map(({ shown }) => shown)
  }
}

/** What the daemon is told: only what it knows, in its form. */
function checked(kind, { decision, fingerprint, answers, remember, cancelled }) {
  if (kind === undefined) return null
  if (kind === 'host-key') {
    if (!['accept', 'accept-once', 'reject'].includes(decision)) throw new RemoteError('INVALID_PARAMS', '`decision` is accept, accept-once or reject.')
    if (typeof fingerprint !== 'string') throw new RemoteError('INVALID_PARAMS', '`fingerprint` is the one that was shown.')
    return { decision, fingerprint }
  }
  if (cancelled === true) return { cancelled }
  if (!Array.isArray(answers) || answers.some(answer => typeof answer !== 'string')) throw new RemoteError('INVALID_PARAMS', '`answers` is a list of texts.')
  return { answers, ...(remember === true ? { remember } : {}) }
}

function decide(list, id, value) {
  const waiting = list.get(id)
  if (!waiting) throw new RemoteError('PLUGIN_QUESTION_GONE', 'That question is not open any more: it was answered already, or its time is up.')
  waiting.decide(value)
}

module.exports = { createPeople }
