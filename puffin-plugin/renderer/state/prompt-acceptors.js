/** What waits for a person (questions, approvals), and the prompts that run. */

import { withKey } from './state.js'

/** Characters of a running answer that are kept; the whole of it is in Puffin's own view. */
export const TAIL = 4000
const FINISHED = 50
const HISTORY = 500

export const promptAcceptors = {
  QUESTION_ASKED(state, { question }) {
    if (state.questions.some(other => other.questionId === question.questionId)) return state
    return { ...state, questions: [...state.questions, question] }
  },
  /** Answered here or in another way, or its time is up. */
  QUESTION_CLOSED(state, { questionId }) {
    return without(state, 'questions', ({ questionId: id }) => id === questionId)
  },
  APPROVAL_ASKED(state, { approval }) {
    if (state.approvals.some(other => other.callId === approval.callId)) return state
    return { ...state, approvals: [...state.approvals, approval] }
  },
  APPROVAL_CLOSED(state, { callId }) {
    return without(state, 'approvals', ({ callId: id }) => id === callId)
  },

  STREAM_STARTED(state, { streamId, configId, model, conversationId, at }) {
    const known = state.streams[streamId]
    const stream = { streamId, startedAt: at, phase: 'connecting', tail: '', characters: 0, chunks: 0, warnings: [], ...known }
    return { ...state, streams: withKey(state.streams, streamId, { ...stream, configId: configId ?? stream.configId, model: model ?? stream.model, conversationId: conversationId ?? stream.conversationId }) }
  },
  STREAM_PHASE: (state, { streamId, ...status }) => onStream(state, streamId, stream => ({ ...stream, ...status })),
  STREAM_TEXT(state, { streamId, text, kind }) {
    return onStream(state, streamId, stream => ({
      ...stream,
      phase: kind === 'reasoning' ? 'thinking' : 'answering',
      tail: (stream.tail + text).slice(-TAIL),
      characters: stream.characters + text.length,
      chunks: stream.chunks + 1
    }))
  },
  STREAM_TOOL: (state, { streamId, tool }) => onStream(state, streamId, stream => ({ ...stream, phase: 'tool', tool })),
  STREAM_USAGE: (state, { streamId, usage }) => onStream(state, streamId, stream => ({ ...stream, usage: added(stream.usage, usage) })),
  STREAM_WARNING: (state, { streamId, message }) => onStream(state, streamId, stream => ({ ...stream, warnings: [...stream.warnings, message].slice(-20) })),
  STREAM_STOPPING: (state, { streamId }) => onStream(state, streamId, stream => ({ ...stream, stopping: true })),

  STREAM_ENDED(state, { streamId, result, error, at }) {
    const stream = state.streams[streamId]
    if (!stream) return state
    const { tail, tool, ...kept } = stream
    const finished = {
      ...kept,
      endedAt: at,
      model: result?.model ?? stream.model,
      stopReason: result?.stopReason ?? null,
      usage: result?.usage ?? stream.usage ?? null,
      timing: result?.timing ?? null,
      rounds: result?.rounds ?? null,
      toolCalls: result?.toolCalls ?? null,
      error: error ?? null
    }
    return { ...state, streams: withKey(state.streams, streamId), finishedPrompts: [finished, ...state.finishedPrompts].slice(0, FINISHED) }
  },

  REMOTE_CONVERSATION_UPDATED(state, { conversationId, messages, completesPartial }) {
    const known = state.remoteConversationHistory
    const same = known.length > 0 && known.at(-1).conversationId === conversationId
    const before = same ? (completesPartial ? known.slice(0, -1) : known) : []
    const added = messages.map(message => ({ ...message, conversationId }))
    return { ...state, remoteConversationHistory: [...before, ...added].slice(-HISTORY) }
  }
}

function without(state, list, matches) {
  const rest = state[list].filter(item => !matches(item))
  return rest.length === state[list].length ? state : { ...state, [list]: rest }
}

function onStream(state, streamId, change) {
  const stream = state.streams[streamId]
  return stream ? { ...state, streams: withKey(state.streams, streamId, change(stream)) } : state
}

function added(usage, more) {
  const sum = { ...usage }
  for (const [name, tokens] of Object.entries(more)) {
    if (typeof tokens === 'number') sum[name] = (sum[name] ?? 0) + tokens
  }
  return sum
}
