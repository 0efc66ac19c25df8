'use strict'

/**
 * A failure in the words of a person, with a code for programs. The codes of the daemon are those of
 * `schemas/README.md`; those that begin with `PLUGIN_` or `DAEMON_` are this half's own.
 */
class RemoteError extends Error {
  /**
   * @param {string} code
   * @param {string} message a sentence for a person: what failed, and what to do
   * @param {object} [data] `hint`, `retryable`, `stage`, `partial` …, as the daemon gives them
   */
  constructor(code, message, data = {}) {
    super(message)
    this.name = 'RemoteError'
    this.code = code
    this.data = data
  }
}

/** @returns {RemoteError} what a JSON-RPC error object says */
function fromReply(error) {
  const { code = 'INTERNAL_ERROR', ...data } = error?.data ?? {}
  return new RemoteError(code, error?.message ?? 'The daemon answered an error without words.', data)
}

/** @returns {{code: string, message: string, hint?: string, data: object}} for the page; never a stack */
function toAnswer(error) {
  if (error instanceof RemoteError) {
    const { hint, ...data } = error.data
    return { code: error.code, message: error.message, ...(hint ? { hint } : {}), data }
  }
  return { code: 'PLUGIN_DEFECT', message: `The Remote LLM plugin has a defect: ${error?.message ?? error}`, data: { retryable: false } }
}

module.exports = { RemoteError, fromReply, toAnswer }
