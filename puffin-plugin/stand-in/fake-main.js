/** The plugin's main half, played from a script: the handlers and events of IPC.md, over made-up servers. */

const RING = 2000
const POLL_LIMIT_MS = 20_000

export class Refusal extends Error {
  constructor(code, message, data = {}) {
    super(message)
    this.answer = { ok: false, error: { code, message, hint: data.hint, data: { retryable: false, ...data } } }
  }
}

/**
 * @param {Object<string, (params: object, main: object) => object|Promise<object>>} handlers by name
 *   without `remote-llm:`; what one gives becomes `{ok: true, …}`
 * @param {() => object} state what `get-state` answers
 */
export function createFakeMain(handlers, state) {
  const calls = []
  const ring = []
  let seq = 0
  let wake = () => {}
  const waiting = new Map()

  const main = {
    calls,
    emit(...events) {
      for (const event of events) ring.push({ seq: ++seq, ...event })
      ring.splice(0, Math.max(0, ring.length - RING))
      wake()
    },
    /** Asks the page, as the daemon does. @returns {Promise<object>} what the person said */
    ask(question) {
      const questionId = `q${waiting.size + 1}`
      const answered = new Promise(resolve => waiting.set(questionId, resolve))
      main.emit({ type: 'question', question: { questionId, ...question } })
      return answered
    },
    answered: (id, said) => waiting.get(id)?.(said)
  }

  async function nextEvents({ after, timeoutMs }) {
    if (after === seq) {
      await new Promise(resolve => {
        const timer = setTimeout(resolve, Math.min(timeoutMs, POLL_LIMIT_MS))
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const oldest = ring[0]?.seq ?? seq + 1
    if (after > seq || after < oldest - 1) return { events: [], seq, reset: true }
    return { events: ring.filter(event => event.seq > after), seq }
  }

  const own = {
    'get-state': () => ({ seq, ...state() }),
    'next-events': nextEvents,
    answer: ({ questionId, ...said }) => {
      main.answered(questionId, said)
      return {}
    }
  }

  /** `window.puffin.plugins.invoke`: one argument, both ways through structured clone. */
  main.invoke = async (plugin, channel, params) => {
    const name = channel.replace(/^remote-llm:/, '')
    const handler = handlers[name] ?? own[name]
    if (plugin !== 'remote-llm-plugin' || !handler || name === channel) throw new Error(`No handler registered for 'plugin:${plugin}:${channel}'`)
    const sent = structuredClone(params)
    if (name !== 'next-events') calls.push({ name, params: sent })
    try {
      return structuredClone({ ok: true, ...(await handler(sent, main)) })
    } catch (error) {
      if (error instanceof Refusal) return structuredClone(error.answer)
      throw new Error(error.message)
    }
  }
  return main
}
