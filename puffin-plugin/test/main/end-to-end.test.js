'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { lack, folder } = require('./lab')
const { start, configured, submit, until } = require('./app')

const skip = lack() ?? false

test('from a pasted target to an answer in Puffin’s prompt box, and again after a restart', { skip }, async t => {
  const app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Good ' }, { content: 'day.' }])
  const tested = await app.ok('test-connection', { configId: 'gpu', requestId: 'test-1' })
  assert.equal(tested.success, true, JSON.stringify(tested.error))
  await until('the last stage', () => app.events.some(({ type, testId, stage }) => type === 'test-stage' && testId === 'test-1' && stage.name === 'models' && stage.status === 'passed'))
  assert.ok(app.events.some(({ type, question }) => type === 'question' && question.kind === 'host-key' && question.origin === 'test'))
  const { models } = await app.ok('list-models', { configId: 'gpu' })
  assert.deepEqual(models.map(({ id }) => id), ['smol'])
  const { config } = await app.ok('select-model', { configId: 'gpu', modelId: 'smol' })
  assert.equal(config.selectedModel, 'smol')

  const { seen, done } = submit(app.claudeService)
  const response = await done
  assert.deepEqual([seen.chunks, response.content], ['Good day.', 'Good day.'])
  await until('that the page hears of the end', () => app.events.some(({ type, event }) => type === 'stream-chunk' && event.type === 'finished'))
  await app.stop()

  const again = await start(t, app)
  const state = await again.ok('get-state')
  assert.deepEqual(state.configs.map(({ name, selectedModel, trust }) => [name, selectedModel, trust.state]), [['GPU', 'smol', 'trusted']])
  await submit(again.claudeService, { sessionId: response.sessionId, prompt: 'And now?' }).done
  const roles = llm.seen.chats.at(-1).messages.map(({ role }) => role)
  assert.deepEqual(roles, ['system', 'user', 'assistant', 'user'], 'the conversation goes on')
})

test('a tool that reads is free, one that writes waits for a yes, and the model hears what came of it', { skip }, async t => {
  const call = (id, name, input) => ({ tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: JSON.stringify(input) } }] })
  const app = await start(t)
  fs.writeFileSync(path.join(app.project, 'a.txt'), 'alpha')
  const script = [
    () => [{ role: 'assistant', content: 'I look.' }, call('c1', 'Read', { file_path: path.join(app.project, 'a.txt') })],
    () => [call('c2', 'Write', { file_path: path.join(app.project, 'b.txt'), content: 'beta' })],
    () => [call('c3', 'Edit', { file_path: path.join(app.project, 'a.txt'), old_string: 'alpha', new_string: 'omega' })],
    () => [{ content: 'Done.' }]
  ]
  const llm = await configured(t, app, body => script[body.messages.filter(({ role }) => role === 'assistant').length]())
  const decisions = { Write: 'allow', Edit: 'deny' }
  app.on('approval', ({ approval }) => app.ok('approve-tool', { callId: approval.callId, decision: decisions[approval.name] }))
  const { seen, done } = submit(app.claudeService)
  const response = await done
  assert.equal(response.content, 'Done.', JSON.stringify(seen.raw))
  assert.equal(fs.readFileSync(path.join(app.project, 'b.txt'), 'utf8'), 'beta')
  assert.equal(fs.readFileSync(path.join(app.project, 'a.txt'), 'utf8'), 'alpha')
  const asked = app.events.filter(({ type }) => type === 'approval').map(({ approval }) => approval)
  assert.deepEqual(asked.map(({ name }) => name), ['Write', 'Edit'])
  assert.match(asked[0].diff, /\+beta/)
  assert.match(asked[1].diff, /^-alpha$[^]*^\+omega$/m)
  assert.equal(asked[1].afterUntrustedRead, true)
  const results = llm.seen.chats.at(-1).messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
  assert.match(results[0], /alpha/)
  assert.match(results[2], /did not allow/)
  assert.deepEqual(seen.raw.filter(({ type }) => type === 'user').map(({ message }) => message.content[0].is_error), [false, false, true])
})

test('stop closes the stream at the server, and what was said stays', { skip }, async t => {
  const app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Half' }, 'hang'])
  const { seen, done } = submit(app.claudeService)
  await until('the first words', () => seen.chunks === 'Half')
  app.claudeService.cancel()
  const response = await done
  assert.deepEqual([response.content, response.cancelled], ['Half', true])
  await until('the end of the request', () => llm.seen.closed === 1)
})

test('a daemon that is killed is told of, started again, and works', { skip }, async t => {
  const app = await start(t)
  await configured(t, app, () => [{ role: 'assistant', content: 'Hi' }])
  await submit(app.claudeService).done
  process.kill(app.daemonPid(), 'SIGKILL')
  await until('the news', () => app.events.some(({ type, daemon }) => type === 'daemon' && daemon.phase === 'waiting'))
  const response = await submit(app.claudeService).done
  assert.equal(response.content, 'Hi')
  const { daemon, configs } = await until('the whole state', () => app.events.find(({ type }) => type === 'state'))
  assert.deepEqual([daemon.phase, configs.map(({ configId }) => configId)], ['ready', ['gpu']], 'what the page knew is out of date, and it is told so')
})

test('a server that came with the project is shown, and used when it is trusted', { skip }, async t => {
  const project = folder(t)
  const place = path.join(project, '.puffin/config/remote-llm')
  fs.mkdirSync(place, { recursive: true })
  fs.writeFileSync(path.join(place, 'shared.json'), JSON.stringify({ name: 'Shared', ssh: { host: '127.0.0.1', port: 1, useSshConfig: false }, llm: { apiEndpoint: 'http://localhost:1' } }))
  const app = await start(t, { project })
  const { configs: [config] } = await app.ok('get-state')
  assert.equal(config.trust.state, 'untrusted')
  const refused = await app.call('connect', { configId: 'shared' })
  assert.deepEqual([refused.ok, refused.error.code], [false, 'CONFIG_UNTRUSTED'])
  assert.match(refused.error.hint, /trust/)
  const trusted = await app.ok('trust-config', { configId: 'shared', digest: config.trust.digest })
  assert.equal(trusted.config.trust.state, 'trusted')
  const failed = await app.call('connect', { configId: 'shared' })
  assert.equal(failed.error.code, 'SSH_UNREACHABLE')
})

test('deactivate ends the daemon and leaves the service as it was', { skip }, async t => {
  const app = await start(t)
  await app.ok('get-state')
  await app.stop()
  assert.deepEqual(Object.keys(app.claudeService), [])
  assert.equal(app.daemonPid(), undefined)
})
