/** Made-up conversations, and what main answers about them. */

import { Refusal } from './fake-main.js'

const at = minutes => new Date(Date.UTC(2026, 4, 4, 9, minutes)).toISOString()
const text = words => [{ type: 'text', text: words }]
const asked = (words, minutes) => ({ role: 'user', content: text(words), timestamp: at(minutes), partial: false })
const told = (words, minutes, more) => ({ role: 'assistant', content: text(words), timestamp: at(minutes), model: 'qwen3:30b', configId: 'gpu1', usage: { inputTokens: 1200, outputTokens: 340 }, partial: false, ...more })

function conversation(conversationId, title, messages, more) {
  return { conversationId, title, model: 'qwen3:30b', configId: 'gpu1', toolCalls: 0, createdAt: at(0), updatedAt: at(messages.length), messages, unsaved: null, ...more }
}

/** One of each kind, and `count` more. */
export function conversationsOf(count = 0) {
  const long = Array.from({ length: 30 }, (_, n) => [asked(`Question ${n + 1}`, n), told(`Answer ${n + 1}`, n)]).flat()
  const read = [
    { role: 'user', content: [...text('## Project Context\n\nA shop for puffins.'), ...text('Which fish do we sell?')], timestamp: at(1), partial: false },
    { role: 'assistant', content: [{ type: 'thinking', thinking: 'I look into the list.' }, { type: 'tool_use', id: 't1', name: 'Read', input: { file_path: 'fish.md' } }], timestamp: at(2), model: 'qwen3:30b', partial: false },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: text('herring\nsand eel'), is_error: false }], timestamp: at(2), partial: false },
    told('Herring and sand eel.', 3)
  ]
  return [
    conversation('cut', 'Count to three', [asked('Count to three', 1), told('One, two', 2, { partial: true, usage: null })]),
    conversation('fish', 'Which fish do we sell?', read, { toolCalls: 1 }),
    conversation('gone', 'Tell me about auks', [], { configId: 'gone-server', unsaved: { asked: [{ role: 'user', content: 'Tell me about auks' }], text: 'An auk is', at: at(4) }, error: { code: 'DAEMON_GONE', message: 'The Remote LLM daemon was killed by SIGKILL.', data: {} } }),
    conversation('long', 'Question 1', long),
    ...Array.from({ length: count }, (_, n) => conversation(`c${n}`, `Conversation ${n}`, [asked(`Conversation ${n}`, 1), told('Yes.', 2)]))
  ]
}

function endingOf({ messages, unsaved, error = null, running }) {
  if (running) return { state: 'running', canContinue: false, canRetry: false, usedTools: false, error: null }
  const cut = unsaved !== null || messages.at(-1)?.partial === true
  return { state: cut ? 'interrupted' : 'whole', canContinue: cut, canRetry: cut, usedTools: false, error }
}

/** The handlers over a list of conversations, which they change. */
export function conversationHandlersOf(conversations) {
  const find = id => conversations.find(({ conversationId }) => conversationId === id) ?? (() => { throw new Refusal('CONFIG_NOT_FOUND', 'There is no such conversation.') })()
  const rowOf = ({ messages, unsaved, error, running, ...summary }) => ({ ...summary, messageCount: messages.length, state: endingOf({ messages, unsaved, error, running }).state, usage: messages.findLast(({ usage }) => usage)?.usage ?? null })
  let streams = 0

  /** The answer comes in two pieces, and is kept. */
  function answer(found, main, words, keep) {
    const streamId = `again-${++streams}`
    const chunk = event => ({ type: 'stream-chunk', streamId, configId: 'gpu1', conversationId: found.conversationId, event })
    found.running = true
    main.emit(chunk({ type: 'started', model: 'qwen3:30b', conversationId: found.conversationId }), chunk({ type: 'text-delta', text: words }))
    main.finish = () => {
      found.running = false
      keep()
      main.emit(chunk({ type: 'finished', result: { model: 'qwen3:30b', stopReason: 'end_turn', usage: { inputTokens: 12, outputTokens: 3 }, timing: { totalMs: 9 } } }))
    }
    return { streamId, readOnly: false }
  }

  return {
    'list-conversations': ({ search = '', from = 0, limit = 30 }) => {
      const found = conversations.filter(({ title }) => title.toLowerCase().includes(search.toLowerCase()))
      return { conversations: found.slice(from, from + limit).map(rowOf), total: found.length, from }
    },
    'get-conversation': ({ conversationId, from, before, limit = 30 }) => {
      const found = find(conversationId)
      const end = before ?? found.messages.length
      const place = from ?? Math.max(0, end - limit)
      return { ...rowOf(found), from: place, messages: found.messages.slice(place, from === undefined ? end : place + limit), ending: endingOf(found), unsaved: found.unsaved }
    },
    'delete-conversation': ({ conversationId }) => {
      conversations.splice(conversations.indexOf(find(conversationId)), 1)
      return { deleted: true, count: 1 }
    },
    'continue-answer': ({ conversationId }, main) => {
      const found = find(conversationId)
      return answer(found, main, ', three.', () => {
        const said = found.unsaved?.text ?? found.messages.at(-1).content[0].text
        found.messages = [...(found.unsaved ? [asked(found.unsaved.asked[0].content, 1)] : found.messages.slice(0, -1)), told(`${said}, three.`, 5)]
        found.unsaved = null
      })
    },
    'retry-answer': ({ conversationId }, main) => {
      const found = find(conversationId)
      return answer(found, main, 'One, two, three.', () => found.messages.push(asked('Your answer was cut off there. Answer again, from the beginning.', 5), told('One, two, three.', 5)))
    },
    'ask-in-conversation': ({ conversationId, text: words }, main) => {
      const found = find(conversationId)
      return answer(found, main, 'Yes.', () => found.messages.push(asked(words, 6), told('Yes.', 6)))
    }
  }
}
