/**
 * The test of a connection, as a list that fills. The stages come with the answer, or one by one
 * where main tells them; until then a question says how far it has come: a machine that shows its
 * host key has been reached.
 */

import { serverName } from './format.js'
import { NEW, withKey } from './state.js'

const REACH = ['resolve', 'tcp', 'ssh-handshake', 'host-key', 'auth']
const SERVE = ['forward', 'http', 'server', 'models']

/** @param {number} hops machines on the way, the last one included */
export function expectedStages(hops) {
  const stages = []
  for (let hop = 1; hop <= hops; hop++) {
    for (const name of REACH) stages.push({ name, hop, status: 'waiting' })
  }
  for (const name of SERVE) stages.push({ name, hop: null, status: 'waiting' })
  return stages
}

export const testAcceptors = {
  TEST_STARTED(state, { key, testId, hops, startedAt, endpoint }) {
    const stages = underWay(expectedStages(hops))
    return { ...state, tests: withKey(state.tests, key, { testId, running: true, stages, hops, startedAt, endpoint, result: null, error: null }) }
  },

  TEST_STAGE(state, { testId, stage }) {
    const key = keyOf(state, testId)
    if (!key) return state
    const test = onTheWay(state.tests[key], stage.hops)
    const told = stage.status === 'started' ? { ...stage, status: 'running' } : stage
    return { ...state, tests: withKey(state.tests, key, { ...test, stages: underWay(withStage(test, told)) }) }
  },

  TEST_FINISHED(state, { key, testId, result, finishedAt }) {
    const test = state.tests[key]
    if (!test || test.testId !== testId) return state
    return { ...state, tests: withKey(state.tests, key, { ...test, running: false, stages: result.stages, result, error: result.error ?? null, finishedAt }) }
  },

  /** The test itself could not be had: bad parameters, no daemon, cancelled. */
  TEST_FAILED(state, { key, testId, error, finishedAt }) {
    const test = state.tests[key]
    if (!test || test.testId !== testId) return state
    const stages = test.stages.map(stage => (['waiting', 'running'].includes(stage.status) ? { ...stage, status: 'skipped' } : stage))
    return { ...state, tests: withKey(state.tests, key, { ...test, running: false, stages, error, finishedAt }) }
  },

  QUESTION_ASKED(state, { question }) {
    const key = testOf(state, question)
    return key ? { ...state, tests: withKey(state.tests, key, reached(state.tests[key], question)) } : state
  }
}

/** The running test that a question belongs to; a server that is not saved has no id. */
function testOf(state, question) {
  const key = question.configId ?? NEW
  return question.origin !== 'connect' && state.tests[key]?.running ? key : null
}

function keyOf(state, testId) {
  return Object.keys(state.tests).find(key => state.tests[key].testId === testId && state.tests[key].running)
}

const same = (stage, other) => stage.name === other.name && (stage.hop ?? null) === (other.hop ?? null)

/** A stage that was not expected (more hops by ssh_config, TLS) goes before the first that waits. */
function withStage(test, stage) {
  if (test.stages.some(other => same(other, stage))) return test.stages.map(other => (same(other, stage) ? stage : other))
  const next = test.stages.findIndex(other => ['waiting', 'running'].includes(other.status))
  const at = next < 0 ? test.stages.length : next
  return [...test.stages.slice(0, at), stage, ...test.stages.slice(at)]
}

/** ssh_config may know of more machines than the form: their rows are made as soon as that is known. */
function onTheWay(test, hops = 1) {
  const nothingYet = test.stages.every(stage => ['waiting', 'running', 'reached'].includes(stage.status))
  return hops > test.hops && nothingYet ? { ...test, hops, stages: expectedStages(hops) } : test
}

/** The first stage that waits is the one under way, if no other is. */
function underWay(stages) {
  if (stages.some(stage => stage.status === 'running')) return stages
  const next = stages.findIndex(stage => stage.status === 'waiting')
  return stages.map((stage, index) => (index === next ? { ...stage, status: 'running' } : stage))
}

/** The question's own stage is under way, and those before it are behind us. */
function reached(test, question) {
  const name = question.kind === 'host-key' ? 'host-key' : 'auth'
  const { hops, stages } = onTheWay(test, Math.max(question.hops ?? 1, question.hop ?? 1))
  const at = stages.findIndex(stage => same(stage, { name, hop: question.hop ?? hops }))
  return {
    ...test,
    asked: true,
    hops,
    stages: stages.map((stage, index) => {
      if (index === at) return { ...stage, status: 'running' }
      return index < at && ['waiting', 'running'].includes(stage.status) ? { ...stage, status: 'reached' } : stage
    })
  }
}

/** @returns {{key: string, index: number}|null} the row of a test in which a question belongs */
export function rowOf(state, question) {
  const key = testOf(state, question)
  const index = key ? state.tests[key].stages.findIndex(stage => stage.status === 'running') : -1
  return index < 0 ? null : { key, index }
}

/** @returns {string} the last line of a test: "Ready: Ollama 0.6 on gpu1, 7 models, 38 ms" */
export function verdictOf(test, host) {
  if (test.running) return 'Testing …'
  if (test.error) return test.error.message
  if (!test.result?.success) return 'The test did not succeed.'
  const { server, models, stages } = test.result
  const name = server ? serverName(server) : 'SSH'
  const count = models ? `, ${models.length} ${models.length === 1 ? 'model' : 'models'}` : ''
  const took = stages.reduce((sum, stage) => sum + (stage.durationMs ?? 0), 0)
  return `Ready: ${name} on ${host}${count}, ${took} ms`
}
