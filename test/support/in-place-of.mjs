// For `node --import`: brings one package where a script asks for another. `IN_PLACE_OF='{"express":"express4"}'`
import { register } from 'node:module'

const hook = `
  const others = ${JSON.stringify(JSON.parse(process.env.IN_PLACE_OF ?? '{}'))}
  export const resolve = (name, context, next) => next(others[name] ?? name, context)`
register(`data:text/javascript,${encodeURIComponent(hook)}`)
