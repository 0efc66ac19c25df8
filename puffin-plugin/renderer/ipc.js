/** Calls to the plugin's half in the main process, through Puffin's preload. */

export const PLUGIN = 'remote-llm-plugin'

/** A failure that main or the daemon told, with a code for programs and a sentence for a person. */
export class RemoteError extends Error {
  /** @param {{code: string, message: string, hint?: string, data?: object}} error */
  constructor({ code, message, hint, data }) {
    super(message)
    this.name = 'RemoteError'
    this.code = code
    this.data = { code, ...(hint ? { hint } : {}), ...data }
  }

  /** What the state keeps of it. */
  toState() {
    return { code: this.code, message: this.message, data: this.data }
  }
}

/** @returns {{code: string, message: string, data: object}} any failure in the form the views show */
export function errorForState(error) {
  if (error instanceof RemoteError) return error.toState()
  return { code: 'INTERNAL_ERROR', message: `The panel has a defect: ${error?.message ?? error}`, data: {} }
}

const TIMED_OUT = Symbol('timed out')

/**
 * @param {(plugin: string, handler: string, params: object) => Promise<object>} invoke
 *   `window.puffin.plugins.invoke`
 * @param {{deadlineMs?: number, setTimeout?: Function, clearTimeout?: Function}} [options]
 * @returns {(handler: string, params?: object, options?: {deadlineMs?: number}) => Promise<object>}
 *   rejects with a RemoteError: what main answered, or UNREACHABLE / TIMEOUT
 */
export function createCall(invoke, { deadlineMs = 30_000, setTimeout = globalThis.setTimeout, clearTimeout = globalThis.clearTimeout } = {}) {
  return async function call(handler, params = {}, options = {}) {
    const limit = options.deadlineMs ?? deadlineMs
    let timer
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, limit, TIMED_OUT)
    })
    let answer
    try {
      answer = await Promise.race([invoke(PLUGIN, `remote-llm:${handler}`, params), late])
    } catch (error) {
      throw new RemoteError({
        code: 'PLUGIN_UNREACHABLE',
        message: 'The plugin’s main half did not answer. Is it enabled in the Plugin Manager?',
        hint: error.message
      })
    } finally {
      clearTimeout(timer)
    }
    if (answer === TIMED_OUT) {
      throw new RemoteError({ code: 'PLUGIN_TIMEOUT', message: `The plugin’s main half did not answer within ${Math.round(limit / 1000)} s.` })
    }
    return unwrap(answer)
  }
}

function unwrap(answer) {
  if (answer?.ok === true) return answer
  const error = answer?.error
  if (answer?.ok === false && error) throw new RemoteError({ code: error.code ?? 'UNKNOWN', message: error.message ?? 'Unknown failure.', hint: error.hint ?? error.data?.hint, data: error.data })
  throw new RemoteError({ code: 'PLUGIN_ANSWER', message: 'The plugin’s main half answered in a form this panel does not know. Are both of the same version?' })
}
