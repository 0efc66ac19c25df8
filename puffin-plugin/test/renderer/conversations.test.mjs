import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConversationActions } from '../../renderer/state/conversation-actions.js'
import { conversationAcceptors } from '../../renderer/state/conversation-acceptors.js'
import { createInstance } from '../../renderer/state/sam.js'
import { initialState } from '../../renderer/state/state.js'

const message = (text, more) => ({ role: 'user', content: [{ type: 'text', text }], ...more })
const ending = { state: 'whole', canContinue: false, canRetry: false, error: null }
const answer = (from, ...texts) => ({ conversationId: 'c', title: 'T', messageCount: from + texts.length, from, messages: texts.map(text => message(text)), ending, unsaved: null })
const textsOf = state => state.conversation.messages.map(({ content }) => content[0].text)

/** Actions over a main half that answers when the test says so. */
function setUp() {
  const asked = []
  const sam = createInstance({ initialState: initialState(), acceptors: { ...conversationAcceptors, STREAM_STARTED: (state, { streamId, conversationId }) => ({ ...state, streams: { [streamId]: { streamId, conversationId } } }) } })
  const notices = []
  const call = (name, params) => new Promise((resolve, reject) => asked.push({ name, params, resolve, reject }))
  const actions = createConversationActions({ call, sam, notice: text => notices.push(text) })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  return { asked, sam, actions, notices, turn }
}

test('messages are put together by their place, whatever comes twice', () => {
  const { sam } = setUp()
  const loaded = (how, said) => sam.present({ type: 'CONVERSATION_LOADED', conversationId: 'c', how, answer: said })
  sam.present({ type: 'CONVERSATION_OPENED', conversationId: 'c' })
  loaded('newest', answer(4, 'e', 'f'))
  loaded('earlier', answer(1, 'b', 'c', 'd', 'e'))
  assert.deepEqual([sam.state().conversation.from, textsOf(sam.state())], [1, ['b', 'c', 'd', 'e', 'f']])
  loaded('refresh', answer(5, 'f, whole', 'g'))
  assert.deepEqual(textsOf(sam.state()), ['b', 'c', 'd', 'e', 'f, whole', 'g'])
  loaded('newest', { ...answer(0, 'other'), conversationId: 'x' })
  sam.present({ type: 'CONVERSATION_LOADED', conversationId: 'x', how: 'newest', answer: answer(0, 'of another') })
  assert.deepEqual(textsOf(sam.state()), ['other'], 'what belongs to a conversation that is not on show changes nothing')
})

test('long arguments and results of tools are cut, and said to be', () => {
  const { sam } = setUp()
  sam.present({ type: 'CONVERSATION_OPENED', conversationId: 'c' })
  const content = [{ type: 'tool_use', id: 't', name: 'Write', input: { content: 'x'.repeat(10_000) } }, { type: 'tool_result', tool_use_id: 't', content: 'y'.repeat(5000) }, { type: 'image', source: { data: 'z'.repeat(9999) } }]
  sam.present({ type: 'CONVERSATION_LOADED', conversationId: 'c', how: 'newest', answer: { ...answer(0), messages: [{ role: 'assistant', content }] } })
  const [call, result, image] = sam.state().conversation.messages[0].content
  assert.match(call.shown, /more characters$/)
  assert.match(result.shown, /… 1000 more characters$/)
  assert.deepEqual(image, { type: 'image' })
  assert.ok(JSON.stringify(sam.state()).length < 15_000)
})

test('an answer to older words of a search changes nothing', async () => {
  const { asked, sam, actions, turn } = setUp()
  actions.openHistory()
  actions.searchHistory('fish')
  asked[1].resolve({ conversations: [{ conversationId: 'f' }], total: 1, from: 0 })
  await turn()
  asked[0].resolve({ conversations: [{ conversationId: 'a' }, { conversationId: 'f' }], total: 2, from: 0 })
  await turn()
  assert.deepEqual(sam.state().history.items, [{ conversationId: 'f' }])
  actions.moreHistory()
  asked[2].resolve({ conversations: [{ conversationId: 'f' }, { conversationId: 'g' }], total: 3, from: 1 })
  await turn()
  assert.deepEqual(sam.state().history.items.map(({ conversationId }) => conversationId), ['f', 'g'], 'nothing is there twice')
})

test('a press is one prompt, however often; what is refused is told, with what helps', async () => {
  const { asked, sam, actions, notices, turn } = setUp()
  sam.present({ type: 'CONVERSATION_OPENED', conversationId: 'c' })
  actions.continueAnswer({ configId: 'gpu', model: null })
  actions.continueAnswer({ configId: 'gpu', model: null })
  assert.deepEqual(asked.map(({ name, params }) => [name, params]), [['continue-answer', { conversationId: 'c', configId: 'gpu' }]])
  asked[0].resolve({ streamId: 's', readOnly: true })
  await turn()
  assert.equal(sam.state().streams.s.conversationId, 'c')
  assert.match(notices.at(-1), /change none/)
  actions.retryAnswer({ configId: 'gpu', model: 'm' })
  asked[1].reject(new Error('boom'))
  await turn()
  assert.match(notices.at(-1), /boom/)
  assert.equal(sam.state().conversation.doing, null)
})

test('several ends at once are read once more, not once each', async () => {
  const { asked, sam, actions, turn } = setUp()
  sam.present({ type: 'CONVERSATION_OPENED', conversationId: 'c' })
  sam.present({ type: 'CONVERSATION_LOADED', conversationId: 'c', how: 'newest', answer: answer(0, 'a', 'b') })
  for (let n = 0; n < 5; n++) actions.refreshConversation()
  assert.deepEqual(asked.map(({ params }) => params.from), [1])
  asked[0].resolve(answer(1, 'b', 'c'))
  await turn()
  assert.deepEqual(asked.map(({ params }) => params.from), [1, 2])
  asked[1].resolve(answer(2, 'c'))
  await turn()
  assert.deepEqual([asked.length, textsOf(sam.state())], [2, ['a', 'b', 'c']])
})
