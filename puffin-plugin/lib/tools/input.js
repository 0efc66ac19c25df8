/**
 * A tool's input, checked against the part of JSON Schema that our definitions use. Models write numbers
 * and booleans as strings now and then: what can mean one thing only is taken as that.
 */
'use strict'

const { Fault } = require('./fault')

/**
 * @param {object} schema  `{type: 'object', properties, required}`
 * @param {unknown} input
 * @returns {object} the known fields, each of its type
 * @throws {Fault} `TOOL_INVALID_INPUT` that names the field
 */
function checkInput(schema, input) {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    throw new Fault('TOOL_INVALID_INPUT', 'The input must be an object.')
  }
  const checked = {}
  for (const [name, field] of Object.entries(schema.properties)) {
    const given = Object.hasOwn(input, name) ? input[name] : undefined
    if (given === undefined || given === null) {
      if (schema.required?.includes(name)) throw new Fault('TOOL_INVALID_INPUT', `The field "${name}" is missing.`)
      continue
    }
    checked[name] = checkField(name, field, given)
  }
  return checked
}

function checkField(name, field, given) {
  const value = readers[field.type](given)
  if (value === undefined) throw new Fault('TOOL_INVALID_INPUT', `The field "${name}" must be of type ${field.type}.`)
  if (field.enum && !field.enum.includes(value)) {
    throw new Fault('TOOL_INVALID_INPUT', `The field "${name}" must be one of ${field.enum.join(', ')}.`)
  }
  if (field.minimum !== undefined && value < field.minimum) {
    throw new Fault('TOOL_INVALID_INPUT', `The field "${name}" must be at least ${field.minimum}.`)
  }
  return field.maximum === undefined ? value : Math.min(value, field.maximum)
}

const readers = {
  string: given => typeof given === 'string' ? given : undefined,
  boolean: given => typeof given === 'boolean' ? given : { true: true, false: false }[given],
  integer: given => {
    const number = typeof given === 'string' && /^-?\d{1,15}$/.test(given.trim()) ? Number(given) : given
    return Number.isSafeInteger(number) ? number : undefined
  },
  array: given => Array.isArray(given) && given.every(item => typeof item === 'string') ? given
    : typeof given === 'string' ? given.split(/\s+/).filter(Boolean) : undefined
}

module.exports = { checkInput }
