/**
 * What may happen without asking, what is asked, and what never happens. Rules come from this user's own
 * folder, never from the project; without any, reading inside the project is free, and everything that
 * writes or runs is asked.
 */
'use strict'

const { isSecret, protectedPart } = require('./sensitive')
const { globMatcher } = require('./glob-pattern')
const shell = require('./shell')

const SWITCHED_OFF = 'Changing files and running commands is switched off here (code modification is not allowed for this branch).'

/**
 * @typedef {object} Rule
 * @property {'allow' | 'ask' | 'deny'} action
 * @property {string} tool  `Bash`, `Write`, …, or `*`
 * @property {string} [pattern]  for Bash words (`npm run *`), for the others a glob of the path (`src/**`);
 *   without one the rule is for every call of the tool
 * @property {boolean} [exact]  the pattern is the very command or path, without wildcards
 *
 * @typedef {{action: 'allow' | 'ask' | 'deny', reason: string, final?: boolean}} Verdict
 *   `final`: the answer is for this once, and is not remembered
 */

/**
 * @param {Rule[]} rules
 * @param {{tool: string, access: 'read' | 'write' | 'run', subject: string, place?: object}} call
 * @param {{codeModificationAllowed?: boolean, home?: string}} [settings]
 * @returns {Verdict}
 */
function decide(rules, call, { codeModificationAllowed, home } = {}) {
  if (call.access !== 'read' && codeModificationAllowed === false) return { action: 'deny', reason: SWITCHED_OFF }
  if (call.access === 'write') {
    const part = protectedPart(call.place, home)
    if (part) return { action: 'deny', reason: `${part} is protected: the tools never change it. Ask the user to do it.` }
  }
  if (rules.some(rule => rule.action === 'deny' && concerns(rule, call))) {
    return { action: 'deny', reason: `A rule of the user forbids ${call.tool} here.` }
  }
  // Only the very file that a person agreed to: a wildcard was not meant for secrets.
  const secret = call.place !== undefined && isSecret(call.place.segments)
  const exact = rules.some(rule => rule.action === 'allow' && rule.exact && concerns(rule, call))
  if (rules.some(rule => rule.action === 'ask' && concerns(rule, call))) return { action: 'ask', reason: 'A rule says to ask.', final: true }
  if (exact) return { action: 'allow', reason: 'The user has allowed it for this project.' }
  if (secret) return { action: 'ask', reason: `This file may hold secrets${call.access === 'read' ? ', and what is read is sent to the remote model' : ''}.` }
  if (allowedByRules(rules, call)) return { action: 'allow', reason: 'A rule of the user allows it.' }
  return call.access === 'read'
    ? { action: 'allow', reason: 'Reading inside the project is free.' }
    : { action: 'ask', reason: call.access === 'run' ? 'Commands are asked about.' : 'Changes are asked about.' }
}

function allowedByRules(rules, call) {
  const allowing = rules.filter(rule => rule.action === 'allow' && !rule.exact && isFor(rule, call))
  if (allowing.some(rule => rule.pattern === undefined)) return true
  if (call.tool === 'Bash') return shell.allows(allowing.map(rule => rule.pattern), call.subject)
  return allowing.some(rule => globMatcher(rule.pattern)(call.subject))
}

/** Whether a rule speaks of a call. For `deny` and `ask` a doubt counts as yes. */
function concerns(rule, call) {
  if (!isFor(rule, call)) return false
  if (rule.pattern === undefined) return true
  if (rule.exact) return rule.pattern === call.subject
  return call.tool === 'Bash' ? shell.forbids(rule.pattern, call.subject) : globMatcher(rule.pattern, { caseless: true })(call.subject)
}

function isFor(rule, call) {
  return rule.tool === '*' || rule.tool === call.tool
}

/**
 * @param {unknown} value  from a file
 * @returns {Rule | undefined} undefined when it is not a rule that can be understood
 */
function readRule(value) {
  const { action, tool, pattern, exact } = value ?? {}
  if (!['allow', 'ask', 'deny'].includes(action) || typeof tool !== 'string' || !tool) return undefined
  if (pattern === undefined) return { action, tool }
  if (typeof pattern !== 'string' || pattern.length > 65536) return undefined
  // "* anything" would allow every program.
  if (action === 'allow' && exact !== true && (/^\s*(\*|$)/.test(pattern) && (tool === 'Bash' || tool === '*'))) return undefined
  return { action, tool, pattern, ...(exact === true && { exact: true }) }
}

/**
 * What a host forbids for one prompt, in Claude Code's form: `Bash`, `Bash(git push:*)`, `Write(dist/**)`.
 *
 * @param {unknown} names
 * @returns {Rule[]}
 */
function forbidden(names) {
  if (!Array.isArray(names)) return []
  return names.map(name => /^([A-Za-z]+)(?:\((.*)\))?$/s.exec(String(name).trim())).filter(Boolean)
    .map(([, tool, pattern]) => readRule({ action: 'deny', tool, pattern: pattern?.replace(/:\*$/, ' *') }))
    .filter(Boolean)
}

module.exports = { decide, forbidden, readRule }
