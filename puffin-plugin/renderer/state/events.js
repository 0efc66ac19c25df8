/** Events of main, as proposals. An event of a kind that is not known says nothing to this panel. */

const CONNECTION = {
  ready: 'REMOTE_CONNECTION_ESTABLISHED',
  failed: 'REMOTE_CONNECTION_FAILED',
  'needs-user': 'REMOTE_CONNECTION_FAILED'
}

const EVENTS = {
  'connection-status': ({ status }, at) => [{ type: CONNECTION[status.state] ?? 'REMOTE_CONNECTION_CHANGED', status, receivedAt: at }],
  'config-changed': ({ configId, change, config }) => {
    if (change === 'deleted') return [{ type: 'REMOTE_CONFIG_DELETED', configId }]
    return [config ? { type: 'REMOTE_CONFIG_SAVED', config } : { type: 'CONFIG_STALE', configId }]
  },
  'conversation-updated': event => [{ ...event, type: 'REMOTE_CONVERSATION_UPDATED' }],
  daemon: ({ daemon }) => [{ type: 'DAEMON_CHANGED', daemon }],
  'test-stage': ({ testId, stage }) => [{ type: 'TEST_STAGE', testId, stage }],
  question: ({ question }, at) => [{ type: 'QUESTION_ASKED', question: { receivedAt: at, ...question } }],
  'question-closed': ({ questionId }) => [{ type: 'QUESTION_CLOSED', questionId }],
  approval: ({ approval }, at) => [{ type: 'APPROVAL_ASKED', approval: { receivedAt: at, ...approval } }],
  'approval-closed': ({ callId }) => [{ type: 'APPROVAL_CLOSED', callId }],
  'stream-chunk': streamProposals
}

/** @param {object} event of `next-events` @param {number} at milliseconds since the epoch */
export function proposalsOf(event, at) {
  const make = Object.hasOwn(EVENTS, event?.type) && EVENTS[event.type]
  return make ? make(event, at) : []
}

function streamProposals({ streamId, configId, conversationId, event }, at) {
  const started = { type: 'STREAM_STARTED', streamId, configId, conversationId, at }
  switch (event?.type) {
    case 'started':
      return [{ ...started, model: event.model, conversationId: event.conversationId ?? conversationId }]
    case 'status':
      return [started, { type: 'STREAM_PHASE', streamId, phase: event.phase, progress: event.progress ?? null, elapsedMs: event.elapsedMs ?? null }]
    case 'text-delta':
      return [{ type: 'STREAM_TEXT', streamId, text: event.text, kind: 'text' }]
    case 'reasoning-delta':
      return [{ type: 'STREAM_TEXT', streamId, text: event.text, kind: 'reasoning' }]
    case 'tool-call-started':
    case 'tool-call-ready':
      return [{ type: 'STREAM_TOOL', streamId, tool: event.name }]
    case 'usage':
      return [{ type: 'STREAM_USAGE', streamId, usage: event.usage }]
    case 'warning':
      return [{ type: 'STREAM_WARNING', streamId, message: event.message }]
    case 'finished':
      return [{ type: 'STREAM_ENDED', streamId, result: event.result, at }]
    case 'failed':
      return [{ type: 'STREAM_ENDED', streamId, error: event.error, at }]
    default:
      return []
  }
}
