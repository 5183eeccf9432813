# The local stack: make run n=2 (auth=scram: with a password), make disconnect n=1, make connect n=1, make psql n=1, make stop, make clean-run.
# BASE_PORT and PG_CONFIG may be given to make or stand in the environment.
STACK := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))/stack
stack_env = $(if $(BASE_PORT),BASE_PORT='$(BASE_PORT)') $(if $(PG_CONFIG),PG_CONFIG='$(PG_CONFIG)')

.PHONY: run stop connect disconnect psql stack-status clean-run

run:
	@$(stack_env) $(if $(auth),STACK_AUTH='$(auth)') $(STACK) run $(if $(n),--clients '$(n)')

stop:
	@$(stack_env) $(STACK) stop

connect disconnect:
	@$(stack_env) $(STACK) $@ '$(n)'

psql:
	@$(stack_env) $(STACK) psql '$(or $(n),0)'

stack-status:
	@$(stack_env) $(STACK) status

# stop, and forget the data
clean-run:
	@$(stack_env) $(STACK) clean
