"""The console command natsroute: one module a command, for operators of services on this machine"""
