/** The history: the list of conversations, and the one on show. */

/** Characters of a tool's input or result that the page keeps. */
const SHOWN_OF_TOOLS = 4000

export const conversationAcceptors = {
  HISTORY_OPENED: state => ({ ...state, view: 'history' }),
  HISTORY_LOADING(state, { search, more }) {
    const { history } = state
    return { ...state, history: { ...history, search, phase: more || history.items.length > 0 ? 'refreshing' : 'loading', error: null } }
  },
  HISTORY_LOADED(state, { result, search }) {
    const { history } = state
    // What was typed meanwhile is on its way.
    if (search !== history.search) return state
    const items = result.from === 0 ? result.conversations : joined(history.items.slice(0, result.from), result.conversations)
    return { ...state, history: { ...history, phase: 'ready', error: null, items, total: result.total } }
  },
  HISTORY_FAILED(state, { error, search }) {
    if (search !== state.history.search) return state
    return { ...state, history: { ...state.history, phase: 'failed', error } }
  },

  CONVERSATION_OPENED(state, { conversationId }) {
    const summary = state.history.items.find(item => item.conversationId === conversationId) ?? { conversationId, title: '', configId: null, model: null }
    return { ...state, view: 'history', conversation: { conversationId, phase: 'loading', error: null, summary, from: 0, messages: [], ending: null, unsaved: null, doing: null } }
  },
  /** `how`: the newest messages, those before what is there, or what is new at the end. */
  CONVERSATION_LOADED(state, { conversationId, answer, how }) {
    return onConversation(state, conversationId, conversation => {
      const { messages: found, from, ending, unsaved, ...summary } = answer
      const messages = found.map(shortened)
      const known = { ...conversation, phase: 'ready', error: null, ending, unsaved, summary: { ...conversation.summary, ...summary } }
      if (how === 'earlier') return { ...known, from, messages: [...messages, ...conversation.messages.slice(Math.max(0, from + messages.length - conversation.from))] }
      if (how === 'newest' || from < conversation.from) return { ...known, from, messages }
      return { ...known, messages: [...conversation.messages.slice(0, from - conversation.from), ...messages] }
    })
  },
  CONVERSATION_FAILED: (state, { conversationId, error }) => onConversation(state, conversationId, conversation => ({ ...conversation, phase: 'failed', error })),
  /** `doing`: what a person has asked for and that is not there yet; null: nothing. */
  CONVERSATION_BUSY: (state, { conversationId, doing }) => onConversation(state, conversationId, conversation => ({ ...conversation, doing })),
  CONVERSATION_CLOSED: state => ({ ...state, conversation: null }),
  CONVERSATION_DELETED(state, { conversationId }) {
    const { history } = state
    const items = history.items.filter(item => item.conversationId !== conversationId)
    return {
      ...state,
      conversation: state.conversation?.conversationId === conversationId ? null : state.conversation,
      history: { ...history, items, total: Math.max(items.length, history.total - (history.items.length - items.length)) }
    }
  }
}

function onConversation(state, conversationId, change) {
  return state.conversation?.conversationId === conversationId ? { ...state, conversation: change(state.conversation) } : state
}

/** One that has moved to the front since is not there twice. */
function joined(known, more) {
  const there = new Set(known.map(({ conversationId }) => conversationId))
  return [...known, ...more.filter(({ conversationId }) => !there.has(conversationId))]
}

/** What tools were passed and gave back can be long, and is looked at seldom. */
function shortened(message) {
  return { ...message, content: (Array.isArray(message.content) ? message.content : [{ type: 'text', text: message.content ?? '' }]).map(block => {
    if (block.type === 'tool_use') return { ...block, input: undefined, shown: cut(JSON.stringify(block.input ?? {}, null, 2)) }
    if (block.type === 'tool_result') return { ...block, content: undefined, shown: cut(plain(block.content)) }
    if (block.type === 'image' || block.type === 'image_url') return { type: 'image' }
    return block
  }) }
}

const cut = text => (text.length > SHOWN_OF_TOOLS ? `${text.slice(0, SHOWN_OF_TOOLS)}\n… ${text.length - SHOWN_OF_TOOLS} more characters` : text)
const plain = content => (typeof content === 'string' ? content : (content ?? []).map(block => block.text ?? `[${block.type}]`).join('\n'))

/** @returns {object|undefined} the answer under way in a conversation */
export function streamOf(state, conversationId) {
  return Object.values(state.streams).find(stream => stream.conversationId === conversationId)
}

/** @returns {object|undefined} the prompt of a conversation that ended last, if that was in this session */
export function lastPromptOf(state, conversationId) {
  return state.finishedPrompts.find(prompt => prompt.conversationId === conversationId)
}
