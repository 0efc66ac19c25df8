'use strict'

const { createConversationList, summaryOf, wholeNumber } = require('./conversation-list')
const { endingOf } = require('./ending')
const { RemoteError } = require('./errors')
const { SYSTEM } = require('./system')

const CALL_MS = 30_000
const PAGE = 30
const LARGEST_PAGE = 200

/** What a model is told, as the person's words, where the daemon can't go on by itself. Shown in the history. */
const GO_ON = 'Your answer was cut off there. Go on exactly where it stops, and repeat nothing.'
const AGAIN = 'Your answer was cut off there. Answer again, from the beginning.'
const AGAIN_AFTER_TOOLS = 'Your answer was cut off there, after tools had been used. What they did is done: look before you do anything again, then finish the answer.'

/** Of a conversation whose branch is not known any more, nothing is changed. */
const READ_ONLY = { additionalDirs: [], codeModificationAllowed: false }

/**
 * The conversations that the daemon keeps for this project, what it has not kept of them, and how one goes
 * on from the panel.
 *
 * @param {object} options
 * @param {{call: Function}} options.sidecar
 * @param {ReturnType<import('./prompts').createPrompts>} options.prompts
 * @param {ReturnType<import('./unsaved').createUnsaved>} options.unsaved
 * @param {(params: object, options: object) => {streamId: string}} options.stream starts a prompt
 */
function createConversations({ sidecar, prompts, unsaved, stream }) {
  const ask = (method, params) => sidecar.call(`remote-llm/${method}`, params, { timeoutMs: CALL_MS })

  /** A part of a conversation; of one that only we know of, nothing. */
  async function part(conversationId, from, limit) {
    try {
      return await ask('get-conversation', { conversationId, from, limit })
    } catch (error) {
      const rest = unsaved.get(conversationId)
      if (error.code !== 'CONFIG_NOT_FOUND' || !rest) throw error
      return { ...summaryOf(rest), messages: [] }
    }
  }

  async function tailOf({ conversationId, messageCount }) {
    const { messages } = await part(conversationId, Math.max(0, messageCount - 2), 2)
    return messages
  }

  const isRunning = conversationId => prompts.streams().some(stream => stream.conversationId === conversationId)

  const { list, titleFor } = createConversationList({ ask, part, tailOf, isRunning, unsaved })

  /** Messages from `from` on, or those before the one at `before`; the last ones, if neither is said. */
  async function get({ conversationId, from, before, limit = PAGE }) {
    named(conversationId)
    const most = Math.max(1, Math.min(wholeNumber('limit', limit), LARGEST_PAGE))
    const found = from === undefined ? await backwards(conversationId, before, most) : await inParts(most, fewer => page(conversationId, wholeNumber('from', from), fewer))
    const end = found.from + found.messages.length
    const tail = end >= found.messageCount && (found.messages.length >= 2 || found.from === 0) ? found.messages.slice(-2) : await tailOf(found)
    const rest = unsaved.get(conversationId)
    return {
      ...found,
      title: await titleFor(found),
      ending: isRunning(conversationId) ? { state: 'running', canContinue: false, canRetry: false, usedTools: false, error: null } : endingOf(tail, rest),
      unsaved: rest ? { asked: rest.asked, text: rest.text, at: rest.at } : null
    }
  }

  const page = async (conversationId, from, limit) => ({ ...(await part(conversationId, from, limit)), from })

  async function backwards(conversationId, before, limit) {
    const end = before === undefined ? (await part(conversationId, 0, 0)).messageCount : wholeNumber('before', before)
    return inParts(limit, fewer => page(conversationId, Math.max(0, end - fewer), Math.min(fewer, end)))
  }

  /** Long messages make a page longer than a line may be: then it has fewer of them. */
  async function inParts(limit, ask) {
    for (let most = limit; ; most = Math.floor(most / 4)) {
      try {
        return await ask(most)
      } catch (error) {
        if (error.code !== 'RESPONSE_TOO_BIG' || most < 4) throw error
      }
    }
  }

  async function remove({ conversationId, all }) {
    if (all !== true && isRunning(named(conversationId))) throw new RemoteError('HOST_BUSY', 'An answer of this conversation is under way. Stop it first.')
    const result = await ask('delete-conversation', all === true ? { all } : { conversationId })
    const gone = all === true ? unsaved.all().map(rest => unsaved.forget(rest.conversationId)).length > 0 : unsaved.forget(conversationId)
    return { ...result, deleted: result.deleted || gone }
  }

  /** Starts the next prompt of a conversation, as far as a page may choose it. */
  function start({ conversationId, configId, model, requestId }, more) {
    if (isRunning(conversationId)) throw new RemoteError('HOST_BUSY', 'An answer of this conversation is under way already. Wait for it, or stop it first.')
    const policy = prompts.policyOf(conversationId)
    const params = { requestId, configId, conversationId, ...(model ? { model } : {}), system: SYSTEM, ...more }
    return { ...stream(params, { policy: policy ?? READ_ONLY }), readOnly: (policy ?? READ_ONLY).codeModificationAllowed === false }
  }

  /** What was lost is given back to the daemon with the words that come after it. */
  const given = (rest, words) => (rest.text.trim() === '' ? rest.asked : [...rest.asked, { role: 'assistant', content: rest.text }, { role: 'user', content: words }])

  async function interrupted(conversationId) {
    const rest = unsaved.get(named(conversationId))
    const ending = endingOf(rest ? [] : await tailOf(await part(conversationId, 0, 0)), rest)
    if (ending.state === 'whole') throw new RemoteError('INVALID_PARAMS', 'The last answer of this conversation is whole. It may have been finished meanwhile.', { field: 'conversationId' })
    return { rest, ending }
  }

  return {
    list,
    get,
    remove,
    /** Goes on with the answer where it was cut off. */
    async continueAnswer(params) {
      const { rest, ending } = await interrupted(params.conversationId)
      if (!ending.canContinue) throw new RemoteError('INVALID_PARAMS', 'There is nothing to go on with: no word of the answer had come, or tools had run before it. Ask again instead.', { field: 'conversationId' })
      return start(params, rest ? { messages: given(rest, GO_ON) } : { continue: true })
    },
    /** Asks for the answer again. The question is not said twice, and what was said stays. */
    async retryAnswer(params) {
      const { rest, ending } = await interrupted(params.conversationId)
      const words = ending.usedTools ? AGAIN_AFTER_TOOLS : AGAIN
      return start(params, { messages: rest ? given(rest, words) : [{ role: 'user', content: words }] })
    },
    /** Says something new in it. */
    async ask(params) {
      const { conversationId, text } = params
      named(conversationId)
      if (typeof text !== 'string' || text.trim() === '') throw new RemoteError('INVALID_PARAMS', '`text` says what is asked.', { field: 'text' })
      const rest = unsaved.get(conversationId)
      const before = rest ? (rest.text.trim() === '' ? rest.asked : [...rest.asked, { role: 'assistant', content: rest.text }]) : []
      return start(params, { messages: [...before, { role: 'user', content: text }] })
    }
  }
}

function named(conversationId) {
  if (typeof conversationId !== 'string' || conversationId === '') throw new RemoteError('INVALID_PARAMS', '`conversationId` names a conversation.', { field: 'conversationId' })
  return conversationId
}

module.exports = { createConversations }
