/** A project folder, a folder outside and the tools on it, for one test; all gone afterwards. */
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { createTools } = require('../../../lib/tools')

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]  for `createTools`; `answer`: what the person says, or a function of the question
 */
function room(t, { answer = 'deny', ...options } = {}) {
  const base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'puffin-tools-')))
  const [project, outside, dataDir] = ['project', 'outside', 'data'].map(name => path.join(base, name))
  fs.mkdirSync(project)
  fs.mkdirSync(outside)
  const questions = []
  const warnings = []
  const ask = async (question, signal) => {
    questions.push(question)
    return typeof answer === 'function' ? answer(question, signal) : answer
  }
  const tools = createTools({ projectPath: project, dataDir, ask, log: { warn: message => warnings.push(message) }, ...options })
  t.after(async () => {
    await tools.dispose()
    fs.rmSync(base, { recursive: true, force: true })
  })
  let calls = 0
  return {
    base, project, outside, dataDir, questions, warnings, tools,
    call: (name, input, extra) => tools.execute({ callId: `call-${++calls}`, name, input, ...extra }),
    write(name, content) {
      const file = path.resolve(project, name)
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, content)
      return file
    },
    read: name => fs.readFileSync(path.resolve(project, name), 'utf8'),
    decisions: () => fs.readFileSync(path.join(dataDir, 'tools', 'decisions.jsonl'), 'utf8').trim().split('\n').map(JSON.parse),
    rules(rules, file = 'rules.json') {
      fs.mkdirSync(path.join(dataDir, 'tools'), { recursive: true, mode: 0o700 })
      fs.writeFileSync(path.join(dataDir, 'tools', file), JSON.stringify({ version: 1, rules }), { mode: 0o600 })
    }
  }
}

module.exports = { room }
