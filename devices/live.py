from accounts.live import OrganizationConsumer
class DeviceStatusConsumer(OrganizationConsumer):
    kinds = frozenset({"device_status"})
