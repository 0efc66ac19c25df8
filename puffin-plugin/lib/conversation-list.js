'use strict'

/** The list of conversations: found by words, in pages, each row with what a person knows it by. */

const { endingOf } = require('./ending')
const { RemoteError } = require('./errors')
const { titleOf } = require('./person')

const PAGE = 30
const LARGEST_PAGE = 200
/** Conversations whose first words are read for a search; of older ones the daemon's title counts. */
const SEARCHED = 1000
/** Calls at a time: the daemon refuses too many. */
const TOGETHER = 32

/**
 * @param {object} options
 * @param {(method: string, params: object) => Promise<object>} options.ask a method of the daemon
 * @param {(conversationId: string, from: number, limit: number) => Promise<object>} options.part
 * @param {(summary: object) => Promise<object[]>} options.tailOf its last messages
 * @param {(conversationId: string) => boolean} options.isRunning
 * @param {ReturnType<import('./unsaved').createUnsaved>} options.unsaved
 */
function createConversationList({ ask, part, tailOf, isRunning, unsaved }) {
  /** A conversation's first message never changes. */
  const titles = new Map()

  /** What the person said first: the daemon's title may be what Puffin said of the project. */
  async function titleFor({ conversationId, title, messageCount }) {
    if (messageCount === 0) return title
    if (!titles.has(conversationId)) {
      try {
        const { messages } = await part(conversationId, 0, 1)
        titles.set(conversationId, titleOf(messages[0]?.content) || title)
      } catch {
        return title
      }
    }
    return titles.get(conversationId)
  }

  /** With how it ends and what its last answer cost. One that can't be read is still a row. */
  async function rowOf(summary) {
    const title = await titleFor(summary)
    if (isRunning(summary.conversationId)) return { ...summary, title, state: 'running', usage: null }
    try {
      const tail = await tailOf(summary)
      const { state } = endingOf(tail, unsaved.get(summary.conversationId))
      return { ...summary, title, state, usage: tail.findLast(message => message.usage)?.usage ?? null }
    } catch {
      return { ...summary, title, state: 'unreadable', usage: null }
    }
  }

  async function list({ search = '', from = 0, limit = PAGE }) {
    if (typeof search !== 'string') throw new RemoteError('INVALID_PARAMS', '`search` is a text.', { field: 'search' })
    const place = wholeNumber('from', from)
    const most = Math.min(wholeNumber('limit', limit), LARGEST_PAGE)
    const { conversations } = await ask('list-conversations', {})
    const known = new Set(conversations.map(({ conversationId }) => conversationId))
    const all = [...unsaved.all().filter(({ conversationId }) => !known.has(conversationId)).map(summaryOf), ...conversations]
    const words = search.toLowerCase().split(/\s+/).filter(Boolean)
    const found = words.length === 0 ? all : await matching(all, words)
    return { conversations: await each(found.slice(place, place + most), rowOf), total: found.length, from: place }
  }

  /** Of all, those that have each of the words. */
  async function matching(all, words) {
    await each(all.slice(0, SEARCHED), titleFor)
    return all.filter(({ conversationId, title, model, configId }) => {
      const text = `${titles.get(conversationId) ?? title} ${model ?? ''} ${configId ?? ''}`.toLowerCase()
      return words.every(word => text.includes(word))
    })
  }

  return { list, titleFor }
}

/** @returns {Promise<Array>} what `job` makes of each, in order */
async function each(items, job) {
  const made = []
  for (let at = 0; at < items.length; at += TOGETHER) made.push(...await Promise.all(items.slice(at, at + TOGETHER).map(job)))
  return made
}

/** A row for a conversation of which the daemon has kept nothing. */
function summaryOf({ conversationId, configId, model, asked, at }) {
  return { conversationId, configId, model, title: titleOf(asked[0]?.content), messageCount: 0, toolCalls: 0, createdAt: at, updatedAt: at }
}

/** @throws {RemoteError} INVALID_PARAMS, which names the field */
function wholeNumber(field, value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new RemoteError('INVALID_PARAMS', `\`${field}\` is a whole number from 0.`, { field })
  return value
}

module.exports = { createConversationList, summaryOf, wholeNumber }
