import assert from 'node:assert/strict'
import { test } from 'node:test'
import { draftOf, paramsOf, problemsOf } from '../../renderer/state/draft.js'
import { draftAcceptors } from '../../renderer/state/draft-acceptors.js'
import { LLM_FIELDS, toForm, toWire } from '../../renderer/state/fields.js'
import { placeOfField } from '../../renderer/state/refusal.js'

const config = models => ({ configId: 'gpu', name: 'GPU', ssh: { host: 'gpu', jumpHosts: [{ host: 'a' }] }, llm: { apiEndpoint: 'http://h:1', models }, trust: {} })
const present = (state, type, proposal) => draftAcceptors[type](state, { key: 'gpu', ...proposal })
const stateOf = draft => ({ drafts: { gpu: draft }, remoteConfigs: [] })

test('models typed by hand are sent as they stand, and what the form does not show is kept', () => {
  let state = stateOf(draftOf(config([{ id: 'm', contextWindow: 4096, tools: false, later: 1 }])))
  assert.deepEqual(paramsOf(state.drafts.gpu).llm.models, [{ id: 'm', contextWindow: 4096, tools: false, later: 1 }])
  state = present(state, 'MODEL_ADDED', {})
  state = present(state, 'DRAFT_FIELD_CHANGED', { section: 'model1', path: 'id', value: ' org/n:7b ' })
  state = present(state, 'DRAFT_FIELD_CHANGED', { section: 'model1', path: 'maxOutputTokens', value: '512' })
  state = present(state, 'DRAFT_FIELD_CHANGED', { section: 'model1', path: 'vision', value: 'yes' })
  state = present(state, 'DRAFT_FIELD_CHANGED', { section: 'model0', path: 'tools', value: '' })
  assert.deepEqual(paramsOf(state.drafts.gpu).llm.models, [{ id: 'm', contextWindow: 4096, later: 1 }, { id: 'org/n:7b', maxOutputTokens: 512, vision: true }])
  for (const model of ['model0', 'model1']) state = present(state, 'MODEL_REMOVED', { model })
  assert.equal('models' in paramsOf(state.drafts.gpu).llm, false)
  assert.equal(present(state, 'MODEL_ADDED', {}).drafts.gpu.models[0].id, 'model2', 'no row has the id of one that was')
})

test('what is wrong with a model is said by the field’s name', () => {
  const draft = draftOf(config([{ id: 'm' }, { id: 'm', contextWindow: 1.5 }, { id: '', maxOutputTokens: 0 }]))
  assert.deepEqual(problemsOf(draft), {
    'model1.id': 'Model is named twice.', 'model1.contextWindow': 'Context window is a whole number.',
    'model2.id': 'Model is missing.', 'model2.maxOutputTokens': 'Longest answer is from 1 to 1000000000.'
  })
})

test('how much a model of Ollama’s thinks goes through the form unchanged', () => {
  const field = LLM_FIELDS.find(({ path }) => path === 'ollama.think')
  for (const value of [true, false, 'low', 'max', undefined]) assert.deepEqual(toWire(field, toForm(field, value)), value)
})

test('a field that the daemon refuses is found in the form, and told there until something is changed', () => {
  const draft = draftOf(config([{ id: 'a' }, { id: 'b' }]))
  for (const [field, place] of [
    ['ssh.host', 'ssh.host'], ['llm.tls.caPath', 'llm.tls.caPath'], ['ssh.jumpHosts[0].port', 'hop0.port'], ['llm.models[1].id', 'model1.id'],
    ['llm.models[7].id', null], ['ssh.jumpHosts[0]', null], ['name', null], [undefined, null]
  ]) assert.equal(placeOfField(draft, field), place, String(field))
  const refused = present(stateOf(draft), 'DRAFT_REFUSED', { error: { message: 'No.', data: { field: 'llm.models[1].id' } } })
  assert.deepEqual(refused.drafts.gpu.refused, { 'model1.id': 'No.' })
  assert.equal(present(refused, 'DRAFT_FIELD_CHANGED', { section: 'model1', path: 'id', value: 'c' }).drafts.gpu.refused, undefined)
})
