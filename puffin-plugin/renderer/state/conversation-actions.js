/** What a person does with conversations. */

import { errorForState } from '../ipc.js'

const ROWS = 30
const MESSAGES = 20

/** @param {{call: Function, sam: object, notice: (text: string, kind?: string) => void}} options */
export function createConversationActions({ call, sam, notice }) {
  const { present, state } = sam
  let refreshing = null

  async function loadHistory({ search = state().history.search, from = 0, limit = ROWS } = {}) {
    present({ type: 'HISTORY_LOADING', search, more: from > 0 })
    try {
      present({ type: 'HISTORY_LOADED', search, result: await call('list-conversations', { search, from, limit }) })
    } catch (error) {
      present({ type: 'HISTORY_FAILED', search, error: errorForState(error) })
    }
  }

  async function load(conversationId, how, params) {
    try {
      const answer = await call('get-conversation', { conversationId, ...params })
      present({ type: 'CONVERSATION_LOADED', conversationId, answer, how })
    } catch (error) {
      present({ type: 'CONVERSATION_FAILED', conversationId, error: errorForState(error) })
    }
  }

  /** One thing at a time; what fails is told. @returns {Promise<object|undefined>} the answer */
  async function busy(conversationId, doing, job) {
    if (state().conversation?.doing) return undefined
    present({ type: 'CONVERSATION_BUSY', conversationId, doing })
    try {
      return await job()
    } catch (error) {
      const { message, data } = errorForState(error)
      notice([message, data.hint].filter(Boolean).join(' '), 'error')
      return undefined
    } finally {
      present({ type: 'CONVERSATION_BUSY', conversationId, doing: null })
    }
  }

  /** @param {{configId: string, model: string|null}} over the server and the model that go on with it */
  async function goOn(handler, doing, { configId, model }, more = {}) {
    const { conversationId } = state().conversation
    const answer = await busy(conversationId, doing, () => call(handler, { conversationId, configId, ...(model ? { model } : {}), ...more }))
    if (!answer) return false
    present({ type: 'STREAM_STARTED', streamId: answer.streamId, configId, conversationId, model })
    notice(answer.readOnly ? 'The model can read files of the project here, and change none.' : '')
    return true
  }

  return {
    openHistory() {
      present({ type: 'HISTORY_OPENED' })
      return loadHistory({})
    },
    searchHistory: search => loadHistory({ search }),
    moreHistory: () => loadHistory({ from: state().history.items.length }),
    /** The rows that are there, as they are now. */
    refreshHistory: () => loadHistory({ limit: Math.max(ROWS, state().history.items.length) }),

    openConversation(conversationId) {
      present({ type: 'CONVERSATION_OPENED', conversationId })
      return load(conversationId, 'newest', { limit: MESSAGES })
    },
    reloadConversation: () => load(state().conversation.conversationId, 'newest', { limit: MESSAGES }),
    closeConversation: () => present({ type: 'CONVERSATION_CLOSED' }),
    earlierMessages() {
      const { conversationId, from } = state().conversation
      return busy(conversationId, 'earlier', () => load(conversationId, 'earlier', { before: from, limit: MESSAGES }))
    },
    /** What has come since; the last message that is known may have been finished meanwhile. */
    async refreshConversation() {
      if (refreshing) {
        refreshing.again = true
        return
      }
      refreshing = { again: false }
      const { conversationId, from, messages, phase } = state().conversation
      // What is being read for the first time is as new.
      if (phase !== 'loading') await load(conversationId, 'refresh', { from: Math.max(from, from + messages.length - 1), limit: 200 })
      const { again } = refreshing
      refreshing = null
      if (again && state().conversation) await this.refreshConversation()
    },

    continueAnswer: over => goOn('continue-answer', 'continue', over),
    retryAnswer: over => goOn('retry-answer', 'retry', over),
    askInConversation: (over, text) => goOn('ask-in-conversation', 'ask', over, { text }),

    async deleteConversation(conversationId) {
      const { title } = state().conversation.summary
      const done = await busy(conversationId, 'delete', () => call('delete-conversation', { conversationId }))
      if (!done) return
      present({ type: 'CONVERSATION_DELETED', conversationId })
      notice(`“${title}” is deleted.`)
    }
  }
}
