// For `node --import`: finds the packages of a file that lies outside of the project; what is to listen on 3000 listens on a
// free port and says which.
import { register } from 'node:module'
import { Server } from 'node:net'

const places = ['../../', '../ecosystem/', '../../bench/'].map((path) => new URL(path, import.meta.url).href)
const hook = `
  const places = ${JSON.stringify(places)}
  export async function resolve(name, context, next) {
    if (/^(node:|[./])/.test(name) || context.parentURL?.includes('/node_modules/')) return next(name, context)
    let reason
    for (const parentURL of places) {
      try {
        return await next(name, { ...context, parentURL: parentURL + 'any.js' })
      } catch (error) {
        reason = error
      }
    }
    throw reason
  }`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

const { listen } = Server.prototype
Server.prototype.listen = function (first, ...rest) {
  this.once('listening', () => process.send?.(this.address().port))
  const free = first === 3000 ? 0 : { ...first, port: 0 }
  return Reflect.apply(listen, this, [free, ...rest])
}
