/** A server of a cluster under test: the server and the node that ship. */
export { clusterOf } from '../../cluster/node.ts'
export { defaultLimits } from '../../cluster/topics/topics.ts'
export { WebSocketServer } from '../../server/index.ts'
