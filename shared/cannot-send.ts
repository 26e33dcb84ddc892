/** The error for a value that is no message, such as an object: it says what to send instead. For Node, at both ends. */
export function cannotSend(data: unknown, cause: unknown): TypeError {
  const what = Object.prototype.toString.call(data).slice(8, -1)
  const text = `A message is a string or bytes, not a value of type ${what}. Send JSON.stringify(data)`
  return Object.assign(new TypeError(text, { cause }), { code: 'ERR_INVALID_ARG_TYPE' })
}
