from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet
from accounts.permissions import Access

from devices.models import Unit
class UnitViewSet(ModelViewSet):
    access = Access()
    queryset = Unit.objects.all()

from devices.models import DeviceType
class DeviceTypeViewSet(ModelViewSet):
    access = Access()
    queryset = DeviceType.objects.all()

from devices.models import SensorType
class SensorTypeViewSet(ModelViewSet):
    access = Access()
    queryset = SensorType.objects.all()

from devices.models import Device
class DeviceViewSet(ModelViewSet):
    access = Access()
    queryset = Device.objects.all()

from devices.models import DeviceKey
class DeviceKeyViewSet(ModelViewSet):
    access = Access()
    queryset = DeviceKey.objects.all()

from devices.models import Source
class SourceViewSet(ModelViewSet):
    access = Access()
    queryset = Source.objects.all()

from devices.models import Sensor
class SensorViewSet(ModelViewSet):
    access = Access()
    queryset = Sensor.objects.all()

